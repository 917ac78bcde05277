//! Keeps a text within GitHub's limits without breaking what it quotes.

/// GitHub's limit for comments, issues and pull requests, in characters.
pub const COMMENT: usize = 65_536;

/// GitHub's limit for a check's summary and text, in characters.
pub const CHECK: usize = 65_535;

/// Said where something was left out.
const NOTICE: &str = "\n\n… (cut here, the rest is in Baton's log)";

/// Drops whole lines from the end until the text fits, then closes what they would have closed.
///
/// Quotations never span lines except in fences and folded blocks, so no cut sets quoted text free.
#[must_use]
pub fn fit(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    let mut open = Open::default();
    for line in text.split_inclusive('\n') {
        let mut next = open.clone();
        next.read(line.trim_end());
        let width = line.chars().count();
        if used + width + next.closing().chars().count() + NOTICE.chars().count() > limit {
            break;
        }
        kept.push_str(line);
        used += width;
        open = next;
    }
    format!("{}{}{NOTICE}", kept.trim_end(), open.closing())
}

/// What a text has opened and not closed, line by line.
#[derive(Debug, Clone, Default)]
struct Open {
    fence: Option<String>,
    folds: usize,
}

impl Open {
    fn read(&mut self, line: &str) {
        let ticks: String = line.chars().take_while(|c| *c == '`').collect();
        match &self.fence {
            Some(fence) if line == fence => self.fence = None,
            Some(_) => {}
            None if ticks.len() >= 3 => self.fence = Some(ticks),
            None => {
                self.folds += line.matches("<details>").count();
                self.folds = self.folds.saturating_sub(line.matches("</details>").count());
            }
        }
    }

    fn closing(&self) -> String {
        let fence = self.fence.as_ref().map(|fence| format!("\n{fence}")).unwrap_or_default();
        format!("{fence}{}", "\n\n</details>".repeat(self.folds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_closes_the_fence_and_the_fold_it_stands_in() {
        let lines = "x\n".repeat(200);
        let text =
            format!("<!-- m -->\n<details><summary>s</summary>\n\n````\n{lines}````\n\n</details>");
        let cut = fit(&text, 200);
        assert!(cut.chars().count() <= 200, "{}", cut.chars().count());
        assert!(cut.starts_with("<!-- m -->\n"), "{cut}");
        assert!(cut.contains("x\n````\n\n</details>\n\n… (cut here"), "{cut}");
    }

    #[test]
    fn what_fits_is_left_alone() {
        assert_eq!(fit("a\nb", 3), "a\nb");
    }
}
