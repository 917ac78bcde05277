//! The documents say what is so: their lists are those of the code, their links and names exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use baton::{cli::Arguments, config::Config, provider::ProviderKind};
use clap::CommandFactory;
use regex::Regex;
use serde_json::Value;

type Names = BTreeSet<String>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below some folders whose name ends so.
fn files(folders: &[&str], ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found
}

fn sources(folders: &[&str]) -> String {
    let read = |path: &PathBuf| fs::read_to_string(path).unwrap();
    files(folders, ".rs").iter().map(read).collect::<Vec<_>>().join("\n")
}

/// What a pattern's first group catches.
fn caught(pattern: &str, text: &str) -> Names {
    let pattern = Regex::new(pattern).unwrap();
    pattern.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// The first column of the table under a heading of the README, each name in backticks.
fn column(heading: &str) -> Names {
    let readme = read("README.md");
    let (_, part) = readme.split_once(&format!("## {heading}\n")).expect(heading);
    let part = part.split("\n## ").next().unwrap().split("\n### ").next().unwrap();
    let first = part.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next());
    first.flat_map(|cell| caught("`([^`]+)`", cell)).collect()
}

#[test]
fn the_readme_lists_every_variable_that_the_server_reads() {
    let code = sources(&["src/config", "src/app", "src/cli", "src/telemetry.rs"]);
    let mut read =
        caught(r#"(?:variable|parsed|env::var|env::var_os)\(\s*"([A-Z][A-Z_]+)""#, &code);
    read.extend(caught(r#"env = "([A-Z_]+)""#, &code));
    for secret in caught(r#"secret\("([A-Z_]+)""#, &code) {
        read.extend([format!("{secret}_FILE"), secret]);
    }
    assert_eq!(column("Variables of the server"), read);
}

/// The keys of `baton.toml` as the sources declare them: `[section] key`, or a bare key.
fn keys_of_the_code() -> Names {
    let fields = |text: &str, name: &str| {
        let start = text.find(&format!("struct {name} {{")).unwrap();
        let block = &text[start..start + text[start..].find("\n}").unwrap()];
        caught(r"\n    ([a-z_]+): ", block)
    };
    let mut keys: Names = ["name", "data"].map(str::to_owned).into();
    for (file, section) in [
        ("github", "[github]"),
        ("listen", "[listen]"),
        ("agents", "[agents]"),
        ("sandbox", "[sandbox]"),
        ("limits", "[limits]"),
        ("keep", "[keep]"),
        ("web", "[web]"),
        ("deploy", "[[deploy]]"),
    ] {
        let text = read(&format!("src/config/{file}.rs"));
        keys.extend(fields(&text, "File").iter().map(|key| format!("{section} {key}")));
    }
    let prices = fields(&read("src/config/agents.rs"), "FilePrice");
    keys.extend(prices.iter().map(|key| format!("[prices] {key}")));
    let sections = caught(r#"section\("([a-z]+)"\)"#, &sources(&["src/config", "src/app"]));
    let known = [
        "name", "data", "github", "listen", "agents", "sandbox", "limits", "keep", "deploy",
        "prices", "web",
    ];
    assert_eq!(sections, known.map(str::to_owned).into(), "a section has no place in this test");
    keys
}

#[test]
fn the_readme_lists_every_key_of_the_servers_file() {
    assert_eq!(column("Keys of baton.toml"), keys_of_the_code());
}

#[test]
fn the_example_file_holds_every_key_and_is_taken() {
    let example = read("baton.example.toml");
    let commented = Regex::new(r#"(?m)^#(["a-z\[])"#).unwrap();
    let whole = commented.replace_all(&example, "$1").into_owned();
    let table: toml::Table = whole.parse().unwrap();
    let mut keys = Names::new();
    for (section, value) in &table {
        match value {
            toml::Value::Table(models) if section == "prices" => {
                let names = models.values().flat_map(|price| price.as_table().unwrap().keys());
                keys.extend(names.map(|key| format!("[prices] {key}")));
            }
            toml::Value::Table(inner) => {
                keys.extend(inner.keys().map(|key| format!("[{section}] {key}")));
            }
            toml::Value::Array(grants) => {
                let names = grants.iter().flat_map(|grant| grant.as_table().unwrap().keys());
                keys.extend(names.map(|key| format!("[[{section}]] {key}")));
            }
            _ => {
                keys.insert(section.clone());
            }
        }
    }
    assert_eq!(keys, keys_of_the_code());

    let environment: BTreeMap<String, String> = [
        ("GITHUB_PRIVATE_KEY", "key"),
        ("GITHUB_WEBHOOK_SECRET", "hush"),
        ("ANTHROPIC_API_KEY", "dummy"),
        ("OPENAI_API_KEY", "dummy"),
        ("FILES_DEPLOY_TOKEN", "hush"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let config = Config::read(environment.clone(), Some(&whole)).unwrap();
    assert_eq!((config.github.app_id, config.grants.len()), (123_456, 1));
    // What stands there as a default is one.
    let mut bare = environment;
    bare.insert("GITHUB_APP_ID".to_owned(), "123456".to_owned());
    let default = Config::read(bare, None).unwrap();
    let shown = |config: &Config| {
        let agents = &config.agents;
        let mut limits = config.limits.clone();
        limits.accounts.clear();
        (limits.agent, limits.models) = (None, BTreeMap::new());
        (limits.role_agents, limits.provider_agents) = (BTreeMap::new(), BTreeMap::new());
        format!(
            "{} {:?} {:?} {limits:?} {} {} {:?} {}",
            config.name,
            config.data,
            config.listen,
            agents.provider,
            agents.model,
            agents.prices,
            config.github.api_url
        )
    };
    assert_eq!(shown(&config), shown(&default));
}

#[test]
fn the_readme_lists_every_key_of_a_repositorys_policy() {
    let schema: Value = serde_json::from_str(&read("docs/baton.schema.json")).unwrap();
    let mut keys = Names::new();
    for (key, value) in schema["properties"].as_object().unwrap() {
        match (key.as_str(), value["properties"].as_object()) {
            ("roles", _) => {
                let role = schema["$defs"]["role"]["properties"].as_object().unwrap();
                keys.extend(role.keys().map(|inner| format!("roles.ROLE.{inner}")));
            }
            (_, Some(inner)) => keys.extend(inner.keys().map(|inner| format!("{key}.{inner}"))),
            (_, None) => {
                keys.insert(key.clone());
            }
        }
    }
    assert_eq!(column("Policy of a repository"), keys);
}

#[test]
fn the_readme_lists_every_command_of_the_operator() {
    let commands = Arguments::command();
    let names = commands.get_subcommands().map(|one| format!("baton {}", one.get_name()));
    let told: Names = column("Commands of the operator");
    let told = told.iter().map(|usage| usage.split(' ').take(2).collect::<Vec<_>>().join(" "));
    assert_eq!(told.collect::<Names>(), names.collect());
}

#[test]
fn every_test_that_the_security_page_names_exists() {
    let code = sources(&["src", "tests", "emulators"]);
    let tests = caught(r"fn ([a-z0-9_]+)\(", &code);
    let named = caught("`([a-z0-9]+(?:_[a-z0-9]+){3,})`", &read("docs/SECURITY.md"));
    assert!(named.len() > 50, "the names were not found");
    let missing: Vec<_> = named.difference(&tests).collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}

#[test]
fn every_link_between_the_documents_leads_somewhere() {
    let mut missing = Vec::new();
    for path in files(&["README.md", "docs"], ".md") {
        let folder = path.parent().unwrap();
        for target in caught(r"\]\(([^)\s]+)\)", &fs::read_to_string(&path).unwrap()) {
            let file = target.split('#').next().unwrap();
            if !target.contains("://") && !file.is_empty() && !folder.join(file).exists() {
                missing.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_file_that_the_architecture_page_names_exists() {
    let page = read("docs/ARCHITECTURE.md");
    let named = caught("`([a-z_/]+\\.(?:rs|md|toml))`", &page);
    let roots = ["", "src", "src/pipeline"].map(|folder| root().join(folder));
    let missing: Vec<_> = named
        .iter()
        .filter(|name| !roots.iter().any(|folder| folder.join(name).exists()))
        .collect();
    assert!(named.len() > 20 && missing.is_empty(), "no such files: {missing:?}");
}

#[test]
fn the_image_has_the_agent_program_that_was_tested() {
    let package: Value = serde_json::from_str(&read("package.json")).unwrap();
    let pinned = ProviderKind::Claude.pinned_version().unwrap();
    assert_eq!(package["dependencies"]["@anthropic-ai/claude-code"], pinned);
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.contains("npm ci --omit=dev --ignore-scripts"));
    assert!(dockerfile.contains("\nUSER baton\n"), "the server would be root in there");
}

#[test]
fn the_composition_names_what_the_server_reads_and_hides_its_secrets() {
    let compose: Value = serde_yaml_ng::from_str(&read("compose.yaml")).unwrap();
    let baton = &compose["services"]["baton"];
    let known = column("Variables of the server");
    for (name, value) in baton["environment"].as_object().unwrap() {
        assert!(known.contains(name), "{name} is no variable of the server");
        if let Some(secret) = value.as_str().unwrap().strip_prefix("/run/secrets/") {
            assert!(
                baton["secrets"].as_array().unwrap().contains(&Value::from(secret)),
                "{secret}"
            );
            assert!(compose["secrets"][secret]["file"].is_string(), "{secret}");
        }
    }
    let profile = baton["security_opt"].as_array().unwrap().iter();
    let profile = profile.filter_map(|option| option.as_str()?.strip_prefix("seccomp="));
    assert_eq!(profile.collect::<Vec<_>>(), ["docs/seccomp.json"]);
}

#[test]
fn the_seccomp_profile_leaves_bubblewrap_what_it_needs() {
    let profile: Value = serde_json::from_str(&read("docs/seccomp.json")).unwrap();
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ALLOW");
    let refused: Names = profile["syscalls"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|rule| rule["args"].is_null())
        .flat_map(|rule| rule["names"].as_array().unwrap())
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    let needed = ["clone", "clone3", "unshare", "mount", "umount2", "pivot_root", "sethostname"];
    assert!(needed.iter().all(|name| !refused.contains(*name)), "{refused:?}");
    for name in ["init_module", "kexec_load", "bpf", "setns", "keyctl", "io_uring_setup"] {
        assert!(refused.contains(name), "{name} is allowed");
    }
}
