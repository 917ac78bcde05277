//! The judge: finds the operation or webhook meant, and lists what does not fit.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::{Value, json};

use super::documents::read;
use super::graphql::GraphQlSchema;
use super::schema::{field_names, standalone};
use crate::github::{DeliveryRecord, RecordedRequest};

/// Path parameters that may hold slashes.
const LONG_PARAMETERS: &[&str] = &["{path}", "{ref}", "{branch}", "{basehead}"];
/// Refusals any route may answer with, documented or not.
const COMMON_REFUSALS: &[u64] = &[400, 401, 403, 404, 409, 422, 429];

/// Something that does not fit the published schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where: the operation and which part of it.
    pub place: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.message)
    }
}

/// GitHub's published schemas, loaded.
pub struct Judge {
    api: Value,
    webhooks: Value,
    graphql: Option<GraphQlSchema>,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Judge {
    /// Loads the description of the REST API, `api.github.com.json`.
    ///
    /// # Errors
    /// When the file cannot be read or is no JSON.
    pub fn load(api: &Path) -> io::Result<Judge> {
        Ok(Judge {
            api: read(api)?,
            webhooks: Value::Null,
            graphql: None,
            validators: Mutex::default(),
        })
    }

    /// Loads everything there is in a `node_modules`.
    ///
    /// # Errors
    /// When one of the three packages is not installed.
    pub fn from_node_modules(folder: &Path) -> io::Result<Judge> {
        let octokit = folder.join("@octokit");
        let mut judge = Judge::load(&octokit.join("openapi/generated/api.github.com.json"))?;
        judge.webhooks = read(&octokit.join("openapi-webhooks/generated/api.github.com.json"))?;
        let schema = octokit.join("graphql-schema/schema.graphql");
        let text = std::fs::read_to_string(schema)?;
        judge.graphql = Some(GraphQlSchema::parse(&text).map_err(io::Error::other)?);
        Ok(judge)
    }

    /// Judges a request and its answer.
    pub fn judge(&self, request: &RecordedRequest) -> Vec<Violation> {
        if request.path == "/graphql" {
            return self.judge_graphql(request);
        }
        let place = format!("{} {}", request.method, request.path);
        let Some((template, operation)) = self.operation(&request.method, &request.path) else {
            return vec![Violation { place, message: "GitHub has no such route".to_owned() }];
        };
        let key = format!("{} {template}", request.method);
        let mut found = self.judge_query(request, template, operation, &place);
        // What GitHub refused need not have fitted.
        if request.status < 400 {
            found.extend(self.judge_body(request, operation, &key, &place));
        }
        found.extend(self.judge_answer(request, operation, &key, &place));
        found
    }

    /// Judges a webhook's payload.
    pub fn judge_delivery(&self, delivery: &DeliveryRecord) -> Vec<Violation> {
        let name = match &delivery.action {
            Some(action) => format!("{}-{action}", delivery.event),
            None => delivery.event.clone(),
        };
        let name = name.replace('_', "-");
        let place = format!("webhook {name}");
        let webhook = &self.webhooks["webhooks"][&name]["post"];
        if webhook.is_null() {
            return vec![Violation { place, message: "GitHub has no such webhook".to_owned() }];
        }
        let schema = json_schema(&webhook["requestBody"]);
        self.validate(&self.webhooks, schema, true, &place, &place, &delivery.payload)
    }

    fn operation(&self, method: &str, path: &str) -> Option<(&str, &Value)> {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let method = method.to_ascii_lowercase();
        let templates = self.api["paths"].as_object()?.iter();
        templates
            .filter(|(template, item)| !item[&method].is_null() && matches(template, &segments))
            .max_by_key(|(template, _)| (template.split('/').count(), fixed_segments(template)))
            .map(|(template, item)| (template.as_str(), &item[&method]))
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        let pointer = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        pointer.and_then(|pointer| self.api.pointer(pointer)).unwrap_or(value)
    }

    fn judge_query(
        &self,
        request: &RecordedRequest,
        template: &str,
        operation: &Value,
        place: &str,
    ) -> Vec<Violation> {
        let shared = &self.api["paths"][template]["parameters"];
        let parameters = [&operation["parameters"], shared];
        let parameters = parameters.into_iter().filter_map(Value::as_array).flatten();
        let known: Vec<&str> = parameters
            .map(|parameter| self.resolve(parameter))
            .filter(|parameter| parameter["in"] == "query")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        let unknown = request.query.iter().filter(|(name, _)| !known.contains(&name.as_str()));
        unknown
            .map(|(name, _)| Violation {
                place: format!("{place} query"),
                message: format!("there is no parameter {name}"),
            })
            .collect()
    }

    fn judge_body(
        &self,
        request: &RecordedRequest,
        operation: &Value,
        key: &str,
        place: &str,
    ) -> Vec<Violation> {
        let place = format!("{place} request");
        let definition = self.resolve(&operation["requestBody"]);
        let Some(body) = &request.body else {
            let needed = definition["required"] == true;
            let message = "a body is required".to_owned();
            return needed.then_some(Violation { place, message }).into_iter().collect();
        };
        let schema = json_schema(definition);
        if schema.is_null() {
            let empty = body.is_null() || *body == json!({});
            let message = "no body is taken".to_owned();
            return (!empty).then_some(Violation { place, message }).into_iter().collect();
        }
        let mut found = self.validate(&self.api, schema, false, key, &place, body);
        let known = field_names(&self.api, schema);
        for name in body.as_object().into_iter().flatten().map(|(name, _)| name) {
            if known.as_ref().is_some_and(|known| !known.contains(name)) {
                let message = format!("there is no field {name}");
                found.push(Violation { place: place.clone(), message });
            }
        }
        found
    }

    fn judge_answer(
        &self,
        request: &RecordedRequest,
        operation: &Value,
        key: &str,
        place: &str,
    ) -> Vec<Violation> {
        let status = u64::from(request.status);
        let place = format!("{place} answer {status}");
        let response = self.resolve(&operation["responses"][status.to_string()]);
        if response.is_null() {
            let common = COMMON_REFUSALS.contains(&status) || status >= 500;
            let message = "the status is not documented".to_owned();
            return (!common).then_some(Violation { place, message }).into_iter().collect();
        }
        let schema = json_schema(response);
        match (&request.response_body, schema.is_null()) {
            (Some(body), false) => {
                let key = format!("{key} {status}");
                self.validate(&self.api, schema, true, &key, &place, body)
            }
            _ => Vec::new(),
        }
    }

    fn validate(
        &self,
        document: &Value,
        schema: &Value,
        lenient: bool,
        key: &str,
        place: &str,
        instance: &Value,
    ) -> Vec<Violation> {
        let validator = match self.validator(document, schema, lenient, key) {
            Ok(validator) => validator,
            Err(message) => return vec![Violation { place: place.to_owned(), message }],
        };
        let errors = validator.iter_errors(instance);
        errors
            .map(|error| {
                let message: String = error.to_string().chars().take(400).collect();
                let place = format!("{place} {}", error.instance_path());
                Violation { place, message }
            })
            .collect()
    }

    fn validator(
        &self,
        document: &Value,
        schema: &Value,
        lenient: bool,
        key: &str,
    ) -> Result<Arc<Validator>, String> {
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = validators.get(key) {
            return Ok(Arc::clone(known));
        }
        let made = jsonschema::validator_for(&standalone(document, schema, lenient))
            .map_err(|error| format!("the schema cannot be used: {error}"))?;
        let made = Arc::new(made);
        validators.insert(key.to_owned(), Arc::clone(&made));
        Ok(made)
    }

    fn judge_graphql(&self, request: &RecordedRequest) -> Vec<Violation> {
        let place = "POST /graphql".to_owned();
        let text = request.body.as_ref().and_then(|body| body["query"].as_str());
        let messages = match (&self.graphql, text) {
            (_, None) => vec!["there is no query".to_owned()],
            (None, Some(_)) => vec!["the GraphQL schema is not loaded".to_owned()],
            (Some(schema), Some(text)) => schema.judge(text),
        };
        messages.into_iter().map(|message| Violation { place: place.clone(), message }).collect()
    }
}

fn json_schema(holder: &Value) -> &Value {
    &holder["content"]["application/json"]["schema"]
}

fn fixed_segments(template: &str) -> usize {
    template.split('/').filter(|segment| !segment.starts_with('{')).count()
}

fn matches(template: &str, segments: &[&str]) -> bool {
    let parts: Vec<&str> = template.trim_matches('/').split('/').collect();
    matches_parts(&parts, segments)
}

fn matches_parts(parts: &[&str], segments: &[&str]) -> bool {
    match (parts, segments) {
        // The root folder's path is empty.
        ([], []) | (["{path}"], []) => true,
        ([part, parts @ ..], [segment, rest @ ..]) if part.starts_with('{') => {
            let long = LONG_PARAMETERS.contains(part);
            !segment.is_empty()
                && (matches_parts(parts, rest)
                    || (long && (1..=rest.len()).any(|n| matches_parts(parts, &rest[n..]))))
        }
        ([part, parts @ ..], [segment, rest @ ..]) => part == segment && matches_parts(parts, rest),
        _ => false,
    }
}
