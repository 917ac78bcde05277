//! What a role is told of Baton's own tools: when to call them. What they take, their server says.

use crate::model::Tool;

/// The end of the system words: a paragraph with a line for each tool that the role may call.
pub fn words(tools: &[Tool]) -> String {
    if tools.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = tools.iter().map(|tool| format!("- {}", about(*tool))).collect();
    format!(
        "\n\nBeside the tools of your program you have these of the server `baton`:\n{}",
        lines.join("\n")
    )
}

fn about(tool: Tool) -> &'static str {
    match tool {
        Tool::ReportProgress => {
            "`report_progress` shows people your list of what is done and left. Give the whole list when you \
             begin and whenever a part of it is done."
        }
        Tool::AskHuman => {
            "`ask_human` asks a person. Call it only when two readings lead to different work, nothing you can read \
             decides between them, and guessing wrong would cost more than waiting. Give options where you can, and \
             say which one you would take. Afterwards end your turn at once, without the structured output."
        }
    }
}
