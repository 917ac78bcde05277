// A coding agent that speaks Baton's line protocol: JSON lines on standard input and output. Needs Node 18, nothing else.
// Environment: ANTHROPIC_BASE_URL, ANTHROPIC_API_KEY, BATON_SESSION_DIR where sessions are to be kept, and BATON_TOOLS_URL and
// BATON_TOOLS_TOKEN where Baton's own tools are.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { createInterface } from "node:readline";

const { ANTHROPIC_BASE_URL = "http://127.0.0.1:8080", ANTHROPIC_API_KEY = "", BATON_SESSION_DIR = "" } = process.env;
const { BATON_TOOLS_URL = "", BATON_TOOLS_TOKEN = "" } = process.env;
const SERVER = "mcp__baton__"; // the prefix that Claude Code gives the tools of a server of this name
const OUTCOME = "StructuredOutput";
const MOST_STEPS = 60;
const LONGEST_OUTPUT = 30_000;
const COMMAND_TIMEOUT_MS = 120_000;

const text = { type: "string" };
const TOOLS = {
  Read: ["Reads a text file; lines are numbered.", { file_path: text }, ({ file_path }) =>
    readFileSync(file_path, "utf8").replace(/\n$/, "").split("\n").map((line, i) => `${i + 1}\t${line}`).join("\n")],
  Write: ["Writes a whole file.", { file_path: text, content: text }, ({ file_path, content }) => {
    mkdirSync(path.dirname(path.resolve(file_path)), { recursive: true });
    writeFileSync(file_path, content);
    return `wrote ${file_path}`;
  }],
  Edit: ["Replaces one occurrence of a text in a file.", { file_path: text, old_string: text, new_string: text },
    ({ file_path, old_string, new_string }) => {
      const parts = readFileSync(file_path, "utf8").split(old_string);
      if (parts.length !== 2) throw new Error(`the text occurs ${parts.length - 1} times in ${file_path}, not once`);
      writeFileSync(file_path, parts.join(new_string));
      return `edited ${file_path}`;
    }],
  Glob: ["Lists files whose path matches a pattern with * and **.", { pattern: text }, ({ pattern }) =>
    allFiles(".").filter((file) => globbed(pattern).test(file)).join("\n")],
  Grep: ["Finds lines that match a regular expression.", { pattern: text }, ({ pattern }) =>
    allFiles(".").flatMap((file) => readFileSync(file, "utf8").split("\n")
      .flatMap((line, i) => (new RegExp(pattern).test(line) ? [`${file}:${i + 1}:${line}`] : []))).join("\n")],
  Bash: ["Runs a shell command.", { command: text }, ({ command }, stop) => shell(command, stop)],
};

function allFiles(folder) {
  return readdirSync(folder, { withFileTypes: true }).filter(({ name }) => name !== ".git" && name !== "node_modules")
    .flatMap((entry) => {
      const file = path.join(folder, entry.name);
      return entry.isDirectory() ? allFiles(file) : entry.isFile() ? [file] : [];
    });
}

function globbed(pattern) {
  const escaped = pattern.replace(/[.+^${}()|[\]\\?]/g, "\\$&");
  return new RegExp(`^${escaped.replace(/\*\*\/|\*\*|\*/g, (star) => ({ "**/": "(.*/)?", "**": ".*" })[star] ?? "[^/]*")}$`);
}

/** Runs a command in a process group of its own, which is killed on interrupt and after the time limit. */
function shell(command, stop) {
  return new Promise((resolve, reject) => {
    const child = spawn("/bin/sh", ["-c", command], { detached: true, stdio: ["ignore", "pipe", "pipe"], env: shellEnvironment() });
    let output = "";
    const kill = () => { try { process.kill(-child.pid, "SIGKILL"); } catch { /* it has ended */ } };
    const timer = setTimeout(kill, COMMAND_TIMEOUT_MS);
    stop.addEventListener("abort", kill, { once: true });
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => { output += data; });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      stop.removeEventListener("abort", kill);
      if (code === 0) resolve(output);
      else reject(new Error(`Exit code ${code ?? signal}\n${output}`));
    });
  });
}

/** What commands see: all but the keys. */
function shellEnvironment() {
  const { ANTHROPIC_API_KEY: _, BATON_TOOLS_TOKEN: __, ...rest } = process.env;
  return rest;
}

/** Posts JSON and resolves with the JSON that comes back; rejects with a readable reason. */
function post(who, url, headers, body, signal) {
  return new Promise((resolve, reject) => {
    const request = http.request(new URL(url), { method: "POST", headers: { "content-type": "application/json", ...headers }, signal }, (response) => {
      let data = "";
      response.setEncoding("utf8").on("data", (chunk) => { data += chunk; }).on("error", reject).on("end", () => {
        if (response.statusCode !== 200) return reject(Object.assign(new Error(`${who} answered ${response.statusCode}: ${data.slice(0, 500)}`), { status: response.statusCode }));
        try { resolve(JSON.parse(data)); } catch { reject(new Error(`${who} answered no JSON`)); }
      });
    });
    request.on("error", reject).end(JSON.stringify(body));
  });
}

/** Asks the model for one answer. */
function ask(body, signal) {
  const headers = { "anthropic-version": "2023-06-01", "x-api-key": ANTHROPIC_API_KEY };
  return post("the model API", `${ANTHROPIC_BASE_URL.replace(/\/$/, "")}/v1/messages`, headers, body, signal);
}

/** Asks Baton's tool server, which speaks MCP and needs no introduction. */
async function served(method, params) {
  const headers = { accept: "application/json, text/event-stream", authorization: `Bearer ${BATON_TOOLS_TOKEN}` };
  const answer = await post("the tool server", BATON_TOOLS_URL, headers, { jsonrpc: "2.0", id: 1, method, params });
  if (answer.error) throw new Error(answer.error.message);
  return answer.result;
}

/** The tools of that server, each by the name that the model calls it. */
async function serverTools() {
  if (!BATON_TOOLS_URL) return [];
  const { tools } = await served("tools/list", {});
  return tools.map(({ name, description, inputSchema }) => ({ name: SERVER + name, description, input_schema: inputSchema }));
}

async function callServer(name, input) {
  const { content, isError } = await served("tools/call", { name: name.slice(SERVER.length), arguments: input });
  const words = content.map(({ text }) => text).join("\n");
  if (isError) throw new Error(words);
  return words;
}

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const session = { prompt: null, messages: [], inbox: [], served: [] };
const sessionFile = ({ session: id }) => (BATON_SESSION_DIR && /^[\w-]+$/.test(id ?? "") ? path.join(BATON_SESSION_DIR, `${id}.json`) : null);
let running = null; // the AbortController of the turn that runs

async function begin(prompt) {
  session.prompt = prompt;
  try {
    session.served = await serverTools();
  } catch (error) {
    return say({ type: "result", is_error: true, reason: "tools", text: error.message, output: null });
  }
  if (session.stopped) return say({ type: "result", is_error: true, reason: "interrupted", text: "stopped before it began", output: null });
  const file = sessionFile(prompt);
  if (prompt.resume && (!file || !existsSync(file))) return say({ type: "result", is_error: true, reason: "unknown_session", text: "there is no such session to resume", output: null });
  session.begun = true;
  session.messages = prompt.resume ? JSON.parse(readFileSync(file, "utf8")) : [];
  return turn(prompt.text);
}

/** Runs turns until nobody has said anything more. */
async function turn(words) {
  running = new AbortController();
  let result;
  try {
    session.messages.push({ role: "user", content: [{ type: "text", text: words }] });
    result = { type: "result", is_error: false, ...(await steps(running.signal)) };
  } catch (error) {
    const refused = error.status === 429 ? "quota" : "model";
    const reason = running.signal.aborted ? "interrupted" : error.status ? refused : "failed";
    repair(reason);
    result = { type: "result", is_error: true, reason, status: error.status, text: error.message, output: null };
  }
  save(); // before the result is said: whoever reads it may end this program
  say(result);
  running = null;
  if (session.inbox.length > 0) return turn(session.inbox.splice(0).join("\n\n"));
}

async function steps(signal) {
  const { prompt, messages } = session;
  const tools = [...definitions(prompt), ...session.served];
  let items = [];
  for (let step = 0; step < MOST_STEPS; step += 1) {
    const { model, system } = prompt;
    const answer = await ask({ model, system, max_tokens: 8192, messages, tools, stream: false }, signal);
    messages.push({ role: "assistant", content: answer.content });
    const usage = answer.usage ?? {};
    say({ type: "usage", input_tokens: usage.input_tokens ?? 0, output_tokens: usage.output_tokens ?? 0, cache_read_tokens: usage.cache_read_input_tokens ?? 0, cache_write_tokens: usage.cache_creation_input_tokens ?? 0, cost_usd: null });
    const words = answer.content.filter(({ type }) => type === "text").map((block) => block.text).join("\n");
    if (words) {
      say({ type: "text", text: words });
      items = [...items.map((item) => ({ ...item, state: "done" })), { text: words.split("\n")[0], state: "doing" }];
      say({ type: "progress", items });
    }
    const calls = answer.content.filter(({ type }) => type === "tool_use");
    const outcome = calls.find(({ name }) => name === OUTCOME);
    const results = [];
    for (const call of calls) results.push(call === outcome ? settled(call) : await use(call, prompt.tools ?? [], signal));
    if (results.length > 0) messages.push({ role: "user", content: results });
    if (!outcome && calls.length > 0) continue;
    say({ type: "progress", items: items.map((item) => ({ ...item, state: "done" })) });
    return { text: words, output: outcome?.input ?? null };
  }
  throw new Error(`no end after ${MOST_STEPS} steps`);
}

function definitions({ tools = [], schema }) {
  const offered = Object.entries(TOOLS).filter(([name]) => tools.includes(name)).map(([name, [description, properties]]) => ({
    name, description, input_schema: { type: "object", properties, required: Object.keys(properties) },
  }));
  const outcome = { name: OUTCOME, description: "Gives the outcome and ends the turn.", input_schema: schema };
  return schema ? [...offered, outcome] : offered;
}

const settled = ({ id }) => ({ type: "tool_result", tool_use_id: id, content: "Structured output provided successfully" });

/** Uses one tool; a failure is a result too, except that an interrupt ends the turn. */
async function use({ id, name, input }, allowed, signal) {
  say({ type: "tool", id, name, input });
  let output, failed = false;
  try {
    const isServed = session.served.some((tool) => tool.name === name);
    if (!isServed && (!allowed.includes(name) || !TOOLS[name])) throw new Error(`there is no tool ${name}`);
    output = String(await (isServed ? callServer(name, input) : TOOLS[name][2](input, signal))) || "(no output)";
  } catch (error) {
    [output, failed] = [error.message, true];
  }
  signal.throwIfAborted();
  output = output.slice(0, LONGEST_OUTPUT);
  say({ type: "tool_result", id, is_error: failed, output });
  return { type: "tool_result", tool_use_id: id, content: output, is_error: failed };
}

/** Gives open tool calls a result, so that the conversation can go on. */
function repair(reason) {
  const last = session.messages.at(-1);
  const open = last?.role === "assistant" ? last.content.filter(({ type }) => type === "tool_use") : [];
  if (open.length > 0) session.messages.push({ role: "user", content: open.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: reason, is_error: true })) });
}

function save() {
  const file = sessionFile(session.prompt);
  if (!file) return;
  mkdirSync(BATON_SESSION_DIR, { recursive: true });
  writeFileSync(file, JSON.stringify(session.messages), { mode: 0o600 });
}

// Commands have process groups of their own, so they must be told.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    running?.abort();
    process.exit(1);
  });
}

// When the input closes, the program ends by itself after the running turn.
createInterface({ input: process.stdin, crlfDelay: Infinity }).on("line", (line) => {
  if (!line.trim()) return;
  let message;
  try { message = JSON.parse(line); } catch { return say({ type: "text", text: "a line that is no JSON was ignored" }); }
  if (message.type === "prompt" && !session.prompt) begin(message);
  else if (message.type === "message" && session.prompt) running || !session.begun ? session.inbox.push(message.text) : turn(message.text);
  else if (message.type === "interrupt") running ? running.abort() : (session.stopped = !session.begun);
});
