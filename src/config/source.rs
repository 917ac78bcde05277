//! Where values come from, and the list of what is wrong with them.

use std::{collections::BTreeMap, fmt, path::Path};

use secrecy::{ExposeSecret, SecretString};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The environment variable or the key of `baton.toml`.
    pub name: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Everything that is wrong, in the order of the sections.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} mistake(s):", self.0.len())?;
        for Mistake { name, message } in &self.0 {
            write!(f, "\n  {name}: {message}")?;
        }
        Ok(())
    }
}

/// The environment, the text of `baton.toml`, and the mistakes found so far.
pub struct Source {
    environment: BTreeMap<String, String>,
    table: toml::Table,
    mistakes: Vec<Mistake>,
}

impl Source {
    /// Takes the environment and the text of the file, where there is one.
    #[must_use]
    pub fn new(environment: BTreeMap<String, String>, file: Option<&str>) -> Self {
        let mut source = Self { environment, table: toml::Table::new(), mistakes: Vec::new() };
        match file.map(str::parse::<toml::Table>).transpose() {
            Ok(table) => source.table = table.unwrap_or_default(),
            Err(error) => source.mistake("baton.toml", error.to_string().trim()),
        }
        source
    }

    /// Notes that something is wrong.
    pub fn mistake(&mut self, name: &str, message: impl fmt::Display) {
        self.mistakes.push(Mistake { name: name.to_owned(), message: message.to_string() });
    }

    /// Takes a section out of the file; what is left at the end is unknown.
    pub fn section<T: serde::de::DeserializeOwned + Default>(&mut self, name: &str) -> T {
        let Some(value) = self.table.remove(name) else { return T::default() };
        value.try_into().unwrap_or_else(|error: toml::de::Error| {
            self.mistake(&format!("[{name}] in baton.toml"), error.message());
            T::default()
        })
    }

    /// A variable that is set and not blank.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.environment
            .get(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }

    /// A variable, or else what the file says, parsed.
    pub fn parsed<T: std::str::FromStr<Err: fmt::Display>>(
        &mut self,
        name: &str,
        file: Option<String>,
    ) -> Option<T> {
        let text = self.variable(name).or(file)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.mistake(name, format_args!("{text:?} does not fit: {error}"));
                None
            }
        }
    }

    /// A secret from `NAME`, or from the file that `NAME_FILE` or the configuration names.
    ///
    /// A file that others can read is refused.
    pub fn secret(&mut self, name: &str, file: Option<String>) -> Option<SecretString> {
        if self.environment.get(name).is_some_and(|value| value.trim().is_empty()) {
            self.mistake(name, "is set but empty: unset it or give it a value");
            return None;
        }
        if let Some(value) = self.variable(name) {
            return Some(SecretString::from(value));
        }
        let path = self.variable(&format!("{name}_FILE")).or(file)?;
        match super::files::read_private(Path::new(&path)) {
            Ok(text) if text.trim().is_empty() => {
                self.mistake(name, format_args!("the file {path} is empty"));
                None
            }
            Ok(text) => Some(SecretString::from(text.trim().to_owned())),
            Err(error) => {
                self.mistake(name, format_args!("cannot take {path}: {error}"));
                None
            }
        }
    }

    /// `DATABASE_URL`, or what stands in the file that `DATABASE_URL_FILE` names; blank means none.
    pub fn database_url(&mut self) -> Option<String> {
        if let Some(url) = self.variable("DATABASE_URL") {
            return Some(url);
        }
        self.variable("DATABASE_URL_FILE")?;
        self.environment.remove("DATABASE_URL");
        self.secret("DATABASE_URL", None).map(|url| url.expose_secret().to_owned())
    }

    /// Tells what is wrong so far, for who reads only a part.
    ///
    /// # Errors
    /// With every mistake, when there is one.
    pub fn so_far(&self) -> Result<(), Mistakes> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(Mistakes(self.mistakes.clone())) }
    }

    /// Ends the reading: unknown sections are mistakes too.
    ///
    /// # Errors
    /// With every mistake, when there is one.
    pub fn finish(mut self) -> Result<(), Mistakes> {
        let unknown: Vec<String> = self.table.keys().cloned().collect();
        for key in unknown {
            self.mistake(&format!("{key} in baton.toml"), "there is no such key or section");
        }
        if self.mistakes.is_empty() { Ok(()) } else { Err(Mistakes(self.mistakes)) }
    }
}
