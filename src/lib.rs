//! Baton: a GitHub App that takes an issue to verified production with coding agents.

pub mod agent;
pub mod app;
pub mod cli;
pub mod config;
pub mod db;
pub mod egress;
pub mod embedded;
pub mod event;
pub mod gateway;
pub mod github;
pub mod logs;
pub mod model;
pub mod pipeline;
pub mod provider;
pub mod queue;
pub mod report;
pub mod sandbox;
pub mod tools;
pub mod webhook;
pub mod workflow;
pub mod workspace;

pub mod clock;
pub mod telemetry;
