//! The known word that somebody probably meant.

/// Gives the known word that is at most two slips of the pen away, and fewer slips than half of its
/// letters; the first of several that are equally near.
#[must_use]
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let slips = known.iter().map(|known| (*known, slips_between(word, known)));
    let (near, slips) = slips.min_by_key(|(_, slips)| *slips)?;
    let length = word.chars().count().max(near.chars().count());
    (slips <= 2 && slips * 2 < length).then_some(near)
}

/// How many letters were left out, added, changed or swapped with their neighbour. A word of more
/// than 32 letters counts as far from everything.
fn slips_between(word: &str, known: &str) -> usize {
    const LONGEST: usize = 32;
    let word: Vec<char> = word.chars().take(LONGEST + 1).collect();
    let known: Vec<char> = known.chars().collect();
    if word.len() > LONGEST {
        return usize::MAX / 2;
    }
    let mut table = vec![vec![0_usize; known.len() + 1]; word.len() + 1];
    for i in 0..=word.len() {
        for j in 0..=known.len() {
            table[i][j] = if i == 0 || j == 0 { i + j } else { least(&table, &word, &known, i, j) };
        }
    }
    table[word.len()][known.len()]
}

/// The fewest slips between the first `i` letters of one word and the first `j` of the other.
fn least(table: &[Vec<usize>], word: &[char], known: &[char], i: usize, j: usize) -> usize {
    let changed = usize::from(word[i - 1] != known[j - 1]);
    let single = (table[i - 1][j - 1] + changed).min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
    let swapped = i > 1 && j > 1 && word[i - 1] == known[j - 2] && word[i - 2] == known[j - 1];
    if swapped { single.min(table[i - 2][j - 2] + 1) } else { single }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted_as_people_make_them() {
        for (word, known, slips) in [
            ("stop", "stop", 0),
            ("stp", "stop", 1),
            ("stopp", "stop", 1),
            ("step", "stop", 1),
            ("sotp", "stop", 1),
            ("", "stop", 4),
            ("pots", "stop", 3),
        ] {
            assert_eq!(slips_between(word, known), slips, "{word}");
        }
    }

    #[test]
    fn a_short_word_is_not_near_to_another_short_word() {
        assert_eq!(nearest("ok", &["on", "off"]), None);
        assert_eq!(nearest("no", &["on", "off"]), None);
        assert_eq!(nearest("aprove", &["audit", "approve"]), Some("approve"));
        assert_eq!(nearest("stop", &[]), None);
    }
}
