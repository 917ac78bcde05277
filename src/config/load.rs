//! The whole configuration.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    Agents, GitHub, Grant, Listen, Mistakes, SandboxTools, Source, deploy, keep, limits, sandbox,
};
use crate::model::{Keep, Limits};

/// Everything that the operator sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// Prefix of commands, labels, markers and checks: two Batons can share a repository.
    pub name: String,
    /// Where mirrors, workspaces, sockets and the private Postgres are.
    pub data: PathBuf,
    /// The database; the private one where none is named.
    pub database_url: Option<String>,
    /// Which App.
    pub github: GitHub,
    /// Where to listen.
    pub listen: Listen,
    /// Running agents.
    pub agents: Agents,
    /// What sandboxes see of the machine.
    pub sandbox: SandboxTools,
    /// What no repository can raise.
    pub limits: Limits,
    /// How much is kept on the disk.
    pub keep: Keep,
    /// Who may deploy where.
    pub grants: Vec<Grant>,
}

impl Config {
    /// Reads the environment over the text of `baton.toml`.
    ///
    /// # Errors
    /// With every mistake at once.
    pub fn read(
        environment: BTreeMap<String, String>,
        file: Option<&str>,
    ) -> Result<Self, Mistakes> {
        let mut source = Source::new(environment, file);
        let name = name(&mut source);
        let file_data: Option<String> = source.section("data");
        let data =
            source.variable("BATON_DATA").or(file_data).unwrap_or_else(|| ".baton".to_owned());
        let (choice, sandbox, ceiling) = sandbox::read(&mut source);
        let config = Self {
            name,
            data: PathBuf::from(data),
            database_url: source.database_url(),
            github: GitHub::read(&mut source),
            listen: Listen::read(&mut source),
            agents: Agents { sandbox: choice, ceiling, ..Agents::read(&mut source) },
            sandbox,
            limits: limits::read(&mut source),
            keep: keep::read(&mut source),
            grants: deploy::read(&mut source),
        };
        source.finish()?;
        Ok(config)
    }
}

/// What agents need that work for somebody at the command line: no App, no database.
#[derive(Debug, Clone)]
pub struct Local {
    /// Running agents.
    pub agents: Agents,
    /// Folders of tools that they see, outside of `/usr`.
    pub tools: Vec<PathBuf>,
    /// What they may cost.
    pub limits: Limits,
}

impl Local {
    /// Reads just this from the environment over the text of `baton.toml`.
    ///
    /// # Errors
    /// With every mistake in these sections at once.
    pub fn read(
        environment: BTreeMap<String, String>,
        file: Option<&str>,
    ) -> Result<Self, Mistakes> {
        let mut source = Source::new(environment, file);
        let (sandbox, SandboxTools { tools }, ceiling) = sandbox::read(&mut source);
        let agents = Agents { sandbox, ceiling, ..Agents::read(&mut source) };
        let local = Self { agents, tools, limits: limits::read(&mut source) };
        source.so_far()?;
        Ok(local)
    }
}

fn name(source: &mut Source) -> String {
    let file: Option<String> = source.section("name");
    let name = source.variable("BATON_NAME").or(file).unwrap_or_else(|| "baton".to_owned());
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !plain || name.len() > 20 || name.starts_with('-') {
        source.mistake(
            "BATON_NAME",
            format_args!("{name:?} is not 1 to 20 small letters, digits or hyphens"),
        );
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Containers, SandboxChoice};

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn complete() -> BTreeMap<String, String> {
        environment(&[
            ("GITHUB_APP_ID", "12"),
            ("GITHUB_PRIVATE_KEY", "key"),
            ("GITHUB_WEBHOOK_SECRET", "hush"),
            ("ANTHROPIC_API_KEY", "dummy"),
        ])
    }

    #[test]
    fn all_mistakes_are_told_at_once_by_name() {
        let given = environment(&[
            ("GITHUB_WEBHOOK_SECRET", "  "),
            ("BATON_LISTEN", "nowhere"),
            ("BATON_NAME", "Ba ton"),
            ("BATON_MODEL", "free-model"),
        ]);
        let file = "colour = \"red\"\n[limits]\nmax_usd_per_task = -1.0\n";
        let Err(Mistakes(mistakes)) = Config::read(given, Some(file)) else {
            panic!("it was taken")
        };
        let names: Vec<&str> = mistakes.iter().map(|mistake| mistake.name.as_str()).collect();
        for name in [
            "BATON_NAME",
            "GITHUB_APP_ID",
            "GITHUB_PRIVATE_KEY",
            "GITHUB_WEBHOOK_SECRET",
            "BATON_LISTEN",
            "ANTHROPIC_API_KEY",
            "BATON_MODEL",
            "max_usd_per_task in [limits]",
            "colour in baton.toml",
        ] {
            assert!(names.contains(&name), "{name} is not in {names:?}");
        }
    }

    #[test]
    fn the_servers_list_of_hosts_holds_presets_names_and_names_with_their_address() {
        let file = "[limits]\negress = [\"node\", \"a.test\", \"corp.test:81=10.0.0.5\"]\n";
        let config = Config::read(complete(), Some(file)).unwrap();
        let said = |rule: &crate::model::EgressRule| format!("{} {:?}", rule.host, rule.address);
        let said: Vec<String> = config.limits.egress.iter().map(said).collect();
        assert_eq!(said, ["registry.npmjs.org None", "a.test None", "corp.test:81 Some(10.0.0.5)"]);
        for wrong in ["https://a.test", "a.test=b.test", "10.0.0.0/8", ""] {
            let file = format!("[limits]\negress = [\"{wrong}\"]\n[sandbox]\ntools = [\"bin\"]\n");
            let error = Config::read(complete(), Some(&file)).map(drop).unwrap_err().to_string();
            assert!(error.contains("egress in [limits]"), "{wrong}: {error}");
            assert!(error.contains("tools in [sandbox]"), "{error}");
        }
    }

    #[test]
    fn containers_are_chosen_with_their_image_and_socket_and_the_bare_machine_never() {
        let chosen =
            |file: &str| Config::read(complete(), Some(file)).map(|read| read.agents.sandbox);
        assert_eq!(chosen(""), Ok(SandboxChoice::Bubblewrap));
        let containers = |image: &str, socket: &str, cpus| {
            Ok(SandboxChoice::Container(Containers {
                image: image.to_owned(),
                socket: socket.into(),
                images: Vec::new(),
                cpus,
                survive_seconds: 120,
            }))
        };
        let bare = containers("baton-agent", "/var/run/docker.sock", None);
        assert_eq!(chosen("[sandbox]\nkind = \"container\"\n"), bare);
        let file = "[sandbox]\nkind = \"container\"\nimage = \"i\"\nsocket = \"/s\"\ncpus = 1.5\n";
        assert_eq!(chosen(file), containers("i", "/s", Some(1.5)));
        for (wrong, name) in [
            ("kind = \"host\"", "kind in [sandbox]"),
            ("socket = \"tcp:1\"", "socket in [sandbox]"),
            ("cpus = -1.0", "cpus in [sandbox]"),
            ("memory_gb = 0", "memory_gb in [sandbox]"),
            ("disk_gb = 0\ncpu_minutes = 0", "cpu_minutes in [sandbox]"),
            ("survive_seconds = 4000", "survive_seconds in [sandbox]"),
        ] {
            let refused = chosen(&format!("[sandbox]\n{wrong}\n")).unwrap_err().to_string();
            assert!(refused.contains(name), "{wrong}: {refused}");
        }
    }

    #[test]
    fn an_empty_webhook_secret_is_refused() {
        let mut given = complete();
        given.insert("GITHUB_WEBHOOK_SECRET".to_owned(), String::new());
        let error = Config::read(given, None).map(drop);
        assert!(
            error.is_err_and(|e| e.to_string().contains("GITHUB_WEBHOOK_SECRET: is set but empty"))
        );
    }

    #[test]
    fn the_environment_lies_over_the_file() {
        let mut given = complete();
        given.insert("BATON_ADMIN_LISTEN".to_owned(), "127.0.0.1:9".to_owned());
        let file = "[listen]\nadmin = \"127.0.0.1:8\"\npublic = \"127.0.0.1:7\"\n";
        let config = Config::read(given, Some(file)).map_err(|e| e.to_string());
        let listen = config.map(|config| config.listen);
        assert_eq!(listen.map(|l| (l.admin.port(), l.public.port())), Ok((9, 7)));
    }

    #[test]
    fn several_credentials_are_parted_by_white_space() {
        let mut given = complete();
        given.insert("ANTHROPIC_API_KEY".to_owned(), "one\n two\n".to_owned());
        given.insert("CLAUDE_CODE_OAUTH_TOKEN".to_owned(), "three".to_owned());
        let upstream = Config::read(given, None).map(|config| config.agents.upstream).unwrap();
        let plain = |secrets: &[secrecy::SecretString]| -> Vec<String> {
            secrets.iter().map(|it| secrecy::ExposeSecret::expose_secret(it).to_owned()).collect()
        };
        assert_eq!(plain(&upstream.api_keys), ["one", "two"]);
        assert_eq!(plain(&upstream.oauth_tokens), ["three"]);
    }

    #[test]
    fn limits_of_agents_are_read() {
        use crate::model::{AfterQuota, Micros, Role};
        let file = "[limits]\nmax_usd_per_agent = 1.5\nrequests_per_agent = 20\n\
                    models = { coding = [\"a\"] }\nresume_after_quota = \"person\"\n";
        let limits = Config::read(complete(), Some(file)).map(|config| config.limits).unwrap();
        assert_eq!((limits.agent, limits.requests), (Some(Micros(1_500_000)), 20));
        assert_eq!(limits.models, [(Role::Coding, vec!["a".to_owned()])].into());
        assert_eq!(limits.after_quota, AfterQuota::Person);
        let file = "[limits]\nmodels = { tester = [\"a\"] }\nmax_usd_per_agent = 0.0\n";
        assert!(Config::read(complete(), Some(file)).is_err());
    }

    #[test]
    fn the_databases_address_may_stand_in_a_private_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "postgres://baton:hush@db/baton\n").unwrap();
        let mut given = complete();
        given.insert("DATABASE_URL_FILE".to_owned(), file.path().display().to_string());
        let url = Config::read(given.clone(), None).map(|config| config.database_url);
        assert_eq!(url, Ok(Some("postgres://baton:hush@db/baton".to_owned())));
        given.insert("DATABASE_URL_FILE".to_owned(), "/nowhere/url".to_owned());
        let error = Config::read(given, None).map(drop);
        assert!(error.is_err_and(|e| e.to_string().contains("DATABASE_URL: cannot take")));
    }

    #[test]
    fn a_grant_without_its_secret_names_the_variable() {
        let file = "[[deploy]]\nrepository = \"o/n\"\nenvironment = \"production\"\n\
                    secrets = { TOKEN = \"PROD_TOKEN\" }\n";
        let error = Config::read(complete(), Some(file)).map(drop);
        assert!(error.is_err_and(|e| e.to_string().contains("PROD_TOKEN: missing")));
    }
}
