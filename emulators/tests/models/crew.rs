//! The crew at work on a checkout of the sample, through the agent program.

use emulators::models::Crew;
use emulators::sample;
use serde_json::{Value, json};

use crate::support::{Checkout, anthropic, code_prompt, listed, play, review_prompt};

/// The titles of a review's findings.
fn titles(review: &Value) -> Vec<&str> {
    let findings = review["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["title"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn issue_becomes_an_approved_change_in_two_rounds() {
    let checkout = Checkout::new();
    let model = anthropic(Crew::new()).await;
    let (title, body) = sample::issue();

    let plan = play(&checkout, &model.url(), "plan", &format!("# {title}\n\n{body}")).await;
    assert!(plan["summary"].as_str().unwrap().contains("size - 1"), "{plan}");
    assert_eq!(plan["steps"][0]["files"], json!(["src/range.mjs"]));
    assert_eq!(plan["questions"], json!([]));

    let code = play(&checkout, &model.url(), "code", &code_prompt("")).await;
    assert_eq!(code["tests_run"], "`node --test`: all 12 pass");
    assert_eq!(checkout.git(&["status", "--porcelain"]), "");
    assert_eq!(checkout.git(&["rev-list", "--count", "HEAD"]).trim(), "2");

    let first = play(&checkout, &model.url(), "review", &review_prompt(&checkout.diff(), "")).await;
    assert_eq!(first["verdict"], "changes");
    assert_eq!(
        titles(&first),
        ["A reversed range makes the server answer 500", "No test asks for a reversed range"]
    );
    let finding = &first["findings"][0];
    assert_eq!(finding["suggestion"], "  return start < end ? { start, end } : UNSATISFIABLE;");
    let line = finding["line"].as_u64().unwrap() as usize;
    let text = checkout.read("src/range.mjs");
    assert_eq!(text.lines().nth(line - 1), Some("  return { start, end };"));

    let code = play(&checkout, &model.url(), "code", &code_prompt(&listed(&first))).await;
    assert_eq!(code["tests_run"], "`node --test`: all 13 pass");

    let again = review_prompt(&checkout.diff(), &listed(&first));
    let second = play(&checkout, &model.url(), "review", &again).await;
    assert_eq!(second["verdict"], "approve", "{second}");
    assert_eq!(second["settled"], json!(["F1", "F2"]));
    assert_eq!(second["findings"], json!([]));
    assert!(checkout.node(&["--test"], &[]).await.0);

    let deploy = play(&checkout, &model.url(), "deploy", "It is merged.").await;
    assert_eq!(deploy["ready"], true);
    model.shutdown().await;
}

#[tokio::test]
async fn unfixed_program_is_never_approved() {
    let model = anthropic(Crew::new()).await;
    let checkout = Checkout::new();
    let review = async |diff: &str, earlier: &str| {
        play(&checkout, &model.url(), "review", &review_prompt(diff, earlier)).await
    };

    // Nothing is changed at all, whatever the prompt says was found before.
    let untouched = review("", "- F1: A reversed range makes the server answer 500").await;
    assert_eq!(untouched["verdict"], "changes");
    assert!(titles(&untouched).contains(&"An open range still loses the last byte"));

    // A comment that says so repairs nothing.
    checkout.replace(
        "src/range.mjs",
        "  const start",
        "  // start < end ? last===\"\"?size:\n  const start",
    );
    assert_eq!(review(&checkout.diff(), "").await["verdict"], "changes");

    // Tests alone repair nothing.
    checkout.replace("test/range.test.mjs", "bytes=0-99\"", "bytes=500-\"");
    let tested = review(&checkout.diff(), "").await;
    assert_eq!(tested["verdict"], "changes");
    assert_eq!(titles(&tested)[0], "An open range still loses the last byte");

    // A file that is gone is not right either.
    checkout.git(&["rm", "-q", "-f", "src/range.mjs"]);
    let gone = review(&checkout.diff(), "").await;
    assert_eq!(titles(&gone)[0], "The range parser is gone");
}

#[tokio::test]
async fn reviewer_approves_a_right_change_and_objects_to_lost_tests() {
    let model = anthropic(Crew::new()).await;
    let checkout = Checkout::new();
    checkout.replace("src/range.mjs", "? size - 1 :", "? size :");
    checkout.replace(
        "test/range.test.mjs",
        "test(\"an empty suffix",
        "test(\"open and reversed\", () => {\n  parseRange(\"bytes=5-\", 9);\n  parseRange(\"bytes=9-2\", 9);\n});\n\ntest(\"an empty suffix",
    );
    let right = review_prompt(&checkout.diff(), "F1 An open range still loses the last byte");
    let right = play(&checkout, &model.url(), "review", &right).await;
    assert_eq!(right["verdict"], "approve", "{right}");
    assert_eq!(right["settled"], json!(["F1"]));

    checkout.git(&["rm", "-q", "test/server.test.mjs"]);
    let fewer = review_prompt(&checkout.diff(), "");
    let fewer = play(&checkout, &model.url(), "review", &fewer).await;
    assert_eq!(fewer["verdict"], "changes");
    assert_eq!(titles(&fewer), ["The change removes tests"]);
    assert_eq!(fewer["findings"][0]["path"], "test/server.test.mjs");
}

#[tokio::test]
async fn reviewer_judges_the_diff_where_it_cannot_see_the_change() {
    let model = anthropic(Crew::new()).await;
    let (changed, base) = (Checkout::new(), Checkout::new());
    play(&changed, &model.url(), "code", &code_prompt("")).await;
    let review = play(&base, &model.url(), "review", &review_prompt(&changed.diff(), "")).await;
    assert_eq!(titles(&review)[0], "A reversed range makes the server answer 500");
}

#[tokio::test]
async fn verifier_believes_the_evidence_alone() {
    let model = anthropic(Crew::new()).await;
    let checkout = Checkout::new();
    let verify = async |evidence: &str| play(&checkout, &model.url(), "verify", evidence).await;

    let good = verify("$ node scripts/verify.mjs\nexit code: 0\n\nPASS  open: asked a, got b\nPASS  closed: asked c, got d").await;
    assert_eq!(good["passed"], true);
    assert_eq!(
        good["criteria"][1],
        json!({
            "criterion": "closed", "passed": true, "evidence": "PASS  closed: asked c, got d",
        })
    );
    let failing =
        verify("exit code: 1\nPASS  open: fine\nFAIL  reversed: asked x, wanted y; got z").await;
    assert_eq!(failing["passed"], false);
    assert_eq!(failing["criteria"][1]["passed"], false);
    for evidence in [
        "",
        "PASS  open: fine",
        "exit code: 0\nFAIL  open: bad",
        "{\"exit_code\": 137}",
        "exit code: 0\nexit code: 1",
    ] {
        assert_eq!(verify(evidence).await["passed"], false, "{evidence}");
    }
    assert_eq!(verify("{\"exit_code\": 0, \"output\": \"\"}").await["passed"], true);
}

#[tokio::test]
async fn auditor_shows_what_it_found_and_nothing_once_it_is_repaired() {
    let model = anthropic(Crew::new()).await;
    let checkout = Checkout::new();
    let audit = play(&checkout, &model.url(), "audit", "Look for risks.").await;
    assert_eq!(audit["findings"].as_array().unwrap().len(), 2);
    assert_eq!(audit["findings"][0]["path"], "src/files.mjs");
    assert!(audit["findings"][0]["evidence"].as_str().unwrap().contains("decodeURIComponent"));

    checkout.replace(
        "src/files.mjs",
        "export async function findFile(root, urlPath) {",
        "export async function findFile(root, urlPath) {\n  try {",
    );
    checkout.replace(
        "server.mjs",
        "\"Accept-Ranges\"",
        "\"X-Content-Type-Options\": \"nosniff\", \"Accept-Ranges\"",
    );
    let audit = play(&checkout, &model.url(), "audit", "Look for risks.").await;
    assert_eq!(audit["findings"], json!([]));
}

#[tokio::test]
async fn coder_does_what_a_follow_up_asks() {
    let model = anthropic(Crew::new()).await;
    let checkout = Checkout::new();
    play(&checkout, &model.url(), "code", &code_prompt("Say so in the README, too.")).await;
    assert!(checkout.read("README.md").contains("Range: bytes=500-"));
}
