//! What each role concludes, as validated data. The JSON Schemas in `prompts/<role>.md` say the same.

use serde::{Deserialize, Serialize};

use super::{StepRole, Untrusted};

/// The conclusion of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", content = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Of the starter.
    Plan(PlanOutcome),
    /// Of the coding role.
    Code(CodeOutcome),
    /// Of the reviewer.
    Review(ReviewOutcome),
    /// Of the deployer.
    Deploy(DeployOutcome),
    /// Of the verifier.
    Verify(VerifyOutcome),
    /// Of the auditor.
    Audit(AuditOutcome),
    /// Of an analysis.
    Analysis(AnalysisOutcome),
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanOutcome {
    /// What is wrong or wanted, and how it will be done, in a few sentences.
    pub summary: Untrusted,
    /// The steps, in order.
    pub steps: Vec<PlanStep>,
    /// What must be true for the issue to be settled; the verifier judges these.
    pub acceptance: Vec<Untrusted>,
    /// What could go wrong.
    pub risks: Vec<Untrusted>,
    /// What a person should answer first.
    pub questions: Vec<Untrusted>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    /// What is done.
    pub title: Untrusted,
    /// Which files it touches.
    pub files: Vec<Untrusted>,
    /// Who does it, where the plan says so; else a coding agent. Plans of earlier versions say nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<StepRole>,
}

/// What the coder says of its change. The change itself is the commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeOutcome {
    /// What was changed and why.
    pub summary: Untrusted,
    /// Which tests it says it ran.
    pub tests_run: Untrusted,
    /// What the reviewer should know.
    pub notes: Untrusted,
}

/// A review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewOutcome {
    /// The verdict.
    pub verdict: Verdict,
    /// The whole in a few sentences.
    pub summary: Untrusted,
    /// New remarks, and earlier ones that still hold.
    pub findings: Vec<ReviewFinding>,
    /// Ids (`F1`) of earlier findings that the change settles.
    pub settled: Vec<String>,
    /// What was looked at.
    pub looked_at: Vec<Untrusted>,
    /// What was not.
    pub not_looked_at: Vec<Untrusted>,
}

/// A reviewer's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Good as it is.
    Approve,
    /// Something must change.
    Changes,
}

/// How much a remark weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The change may not stay so.
    MustFix,
    /// It would be better otherwise.
    Suggestion,
}

/// One remark on one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewFinding {
    /// Its weight.
    pub severity: Severity,
    /// The file, from the repository's root.
    pub path: Untrusted,
    /// The line in the new version of the file, from 1.
    pub line: u32,
    /// What is wrong, in a few words.
    pub title: Untrusted,
    /// What is wrong and how it shows.
    pub body: Untrusted,
    /// What the line should read instead.
    pub suggestion: Option<Untrusted>,
}

/// Whether to deploy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployOutcome {
    /// Whether it may go out.
    pub ready: bool,
    /// Why.
    pub summary: Untrusted,
    /// What to watch afterwards.
    pub watch: Vec<Untrusted>,
    /// How to take it back.
    pub rollback: Untrusted,
}

/// Whether it works where users are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyOutcome {
    /// Whether all criteria are met.
    pub passed: bool,
    /// The whole in a sentence.
    pub summary: Untrusted,
    /// One verdict per acceptance criterion.
    pub criteria: Vec<CriterionVerdict>,
}

/// The verdict on one acceptance criterion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CriterionVerdict {
    /// The criterion, as in the plan.
    pub criterion: Untrusted,
    /// Whether it is met.
    pub passed: bool,
    /// Which line of the evidence shows it.
    pub evidence: Untrusted,
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditOutcome {
    /// The whole in a few sentences.
    pub summary: Untrusted,
    /// What deserves an issue.
    pub findings: Vec<AuditFinding>,
}

/// One thing an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditFinding {
    /// The title of the issue.
    pub title: Untrusted,
    /// `high`, `medium` or `low`.
    pub severity: String,
    /// The file.
    pub path: Untrusted,
    /// The line, from 1.
    pub line: u32,
    /// What is wrong.
    pub body: Untrusted,
    /// What shows it.
    pub evidence: Untrusted,
}

/// The answer to a question about a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnalysisOutcome {
    /// The answer in short.
    pub summary: Untrusted,
    /// The whole answer with its evidence, as Markdown.
    pub report: Untrusted,
}
