//! Emoji reactions: one of each kind a person, and no webhook tells of them.

use super::answer::Refusal;
use super::model::Reaction;
use super::state::State;

/// The reactions there are, in GitHub's words.
pub(crate) const CONTENTS: &[&str] =
    &["+1", "-1", "laugh", "confused", "heart", "hooray", "eyes", "rocket"];

/// What a reaction is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// An issue or pull request, by number.
    Issue(u64),
    /// A conversation comment, by id.
    Comment(u64),
    /// A comment on a line, by id.
    ReviewComment(u64),
}

impl State {
    /// The reactions of a target.
    pub(crate) fn reactions(
        &mut self,
        repository: u64,
        target: Target,
    ) -> Result<&mut Vec<Reaction>, Refusal> {
        match target {
            Target::Issue(number) => Ok(&mut self.issue_mut(repository, number)?.reactions),
            Target::Comment(id) => {
                let (number, place) = self.comment_place(repository, id)?;
                Ok(&mut self.issue_mut(repository, number)?.comments[place].reactions)
            }
            Target::ReviewComment(id) => {
                let (number, place) = self.review_comment_place(repository, id)?;
                Ok(&mut self.pull_mut(repository, number)?.review_comments[place].reactions)
            }
        }
    }

    /// Reacts; gives the reaction and whether it is new (201) or was there (200).
    pub(crate) fn react(
        &mut self,
        repository: u64,
        target: Target,
        actor: u64,
        content: &str,
    ) -> Result<(Reaction, bool), Refusal> {
        if !CONTENTS.contains(&content) {
            return Err(Refusal::field("Reaction", "content", "invalid"));
        }
        let (id, created_at) = (self.fresh_id(), self.now());
        let reactions = self.reactions(repository, target)?;
        let known = reactions.iter().find(|known| known.user == actor && known.content == content);
        if let Some(known) = known {
            return Ok((known.clone(), false));
        }
        let reaction = Reaction { id, content: content.to_owned(), user: actor, created_at };
        reactions.push(reaction.clone());
        Ok((reaction, true))
    }

    /// Takes one's own reaction back.
    pub(crate) fn unreact(
        &mut self,
        repository: u64,
        target: Target,
        actor: u64,
        id: u64,
    ) -> Result<(), Refusal> {
        let reactions = self.reactions(repository, target)?;
        let place = reactions.iter().position(|known| known.id == id && known.user == actor);
        reactions.remove(place.ok_or_else(Refusal::not_found)?);
        Ok(())
    }
}
