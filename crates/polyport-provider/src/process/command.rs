//! What is run: a program with a list of arguments, never a line for a shell.
//!
//! Values of requests get into arguments through templates only. A text of a request that would stand alone as an argument must not be
//! taken for an option, so one that begins with `-` is refused there unless `--` stands before it.

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use minijinja::value::Value;
use serde_json::Map;
use tempfile::TempPath;

use super::template::{Template, values};

/// Variables whose text is the client's own.
const OF_CLIENTS: [&str; 5] = ["prompt", "system", "messages", "tools", "stop"];

/// How a program is run.
#[derive(Clone)]
pub struct Command {
    /// Its name, which is looked for in `paths`, or a path.
    pub program: String,
    /// Where names are looked for.
    pub paths: Vec<PathBuf>,
    /// Where relative paths start, and where it runs without a `working_directory`.
    pub folder: PathBuf,
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// Its whole environment but for `variables`.
    pub environment: Vec<(String, String)>,
    /// Variables of the environment that are templates.
    pub variables: Vec<(String, Template)>,
    /// Where it runs.
    pub working_directory: Option<Template>,
    /// How it gets the prompt beside its arguments.
    pub input: Input,
}

/// An argument, or several that belong together.
#[derive(Clone, Debug)]
pub enum Argument {
    /// One.
    One(Template),
    /// Left out as a whole if a variable in it is not there.
    Together(Vec<Template>),
}

/// How a program gets the prompt beside its arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Input {
    /// Not at all.
    #[default]
    Nothing,
    /// On its standard input.
    Stdin,
    /// In a file of its own, whose path is the variable `file`.
    File,
}

impl fmt::Debug for Command {
    /// Its environment may hold secrets: it is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .finish_non_exhaustive()
    }
}

/// A program cannot be run as it is configured, or not for this request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{setting}`: {reason}")]
pub struct CommandError {
    /// The setting at fault, such as `args[2]`.
    pub setting: String,
    /// What is wrong with it.
    pub reason: String,
}

impl CommandError {
    pub(crate) fn new(setting: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { setting: setting.into(), reason: reason.into() }
    }
}

/// Everything to start a program with.
pub struct Launch {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) folder: PathBuf,
    pub(super) stdin: Option<Bytes>,
    /// Deleted when it has ended.
    pub(super) file: Option<TempPath>,
    /// It goes on when it has closed its output.
    pub(super) lasting: bool,
}

impl fmt::Debug for Launch {
    /// Neither its environment nor the prompt.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch").field("program", &self.program).finish_non_exhaustive()
    }
}

impl Launch {
    /// For a program that is not over when it has closed its output, such as a server.
    #[must_use]
    pub fn lasting(self) -> Self {
        Self { lasting: true, ..self }
    }
}

impl Command {
    /// Fills in the templates. `variables` are those of the request; without a `prompt` there is no input.
    ///
    /// # Errors
    /// [`CommandError`] names the setting that cannot be used, or not with these values.
    pub fn launch(&self, mut variables: Map<String, serde_json::Value>) -> Result<Launch, CommandError> {
        let program = self.find()?;
        let prompt = variables.get("prompt").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let file = match self.input {
            Input::File => Some(written(&prompt).map_err(|error| CommandError::new("input", error.to_string()))?),
            Input::Nothing | Input::Stdin => None,
        };
        if let Some(path) = file.as_deref().and_then(Path::to_str) {
            variables.insert("file".to_owned(), path.into());
        }
        let values = values(&variables);
        let mut arguments = Vec::with_capacity(self.arguments.len());
        for (at, argument) in self.arguments.iter().enumerate() {
            let templates = match argument {
                Argument::One(template) => std::slice::from_ref(template),
                Argument::Together(templates) => {
                    let mut all = templates.iter().flat_map(Template::variables);
                    if !all.all(|name| variables.contains_key(name)) {
                        continue;
                    }
                    templates
                }
            };
            for template in templates {
                arguments.push(argument_of(template, &values, &arguments, &format!("args[{at}]"))?);
            }
        }
        let mut environment = self.environment.clone();
        for (name, template) in &self.variables {
            let setting = format!("env.{name}");
            let value = rendered(template, &values, &setting)?;
            environment.retain(|(known, _)| known != name);
            environment.push((name.clone(), value));
        }
        let folder = match &self.working_directory {
            None => self.folder.clone(),
            Some(template) => self.folder.join(rendered(template, &values, "working_directory")?),
        };
        if !folder.is_dir() {
            return Err(CommandError::new("working_directory", format!("there is no folder {}", folder.display())));
        }
        let stdin = (self.input == Input::Stdin).then(|| Bytes::from(prompt));
        Ok(Launch { program, arguments, environment, folder, stdin, file, lasting: false })
    }

    /// Where the program is.
    ///
    /// # Errors
    /// [`CommandError`] if it is nowhere, or cannot be run.
    pub fn find(&self) -> Result<PathBuf, CommandError> {
        let name = Path::new(&self.program);
        if name.components().count() > 1 {
            let path = self.folder.join(name);
            return match is_program(&path) {
                true => Ok(path),
                false if path.exists() => {
                    Err(CommandError::new("command", format!("{} is no program that may be run", path.display())))
                }
                false => Err(CommandError::new("command", format!("there is no program {}", path.display()))),
            };
        }
        let found = self.paths.iter().map(|folder| folder.join(name)).find(|path| is_program(path));
        found.ok_or_else(|| {
            CommandError::new("command", format!("there is no program `{}` in the folders of PATH", self.program))
        })
    }

    /// Whether any of its templates looks at a variable.
    #[must_use]
    pub fn mentions(&self, variable: &str) -> bool {
        let arguments = self.arguments.iter().flat_map(|argument| match argument {
            Argument::One(template) => std::slice::from_ref(template),
            Argument::Together(templates) => templates,
        });
        let others = self.variables.iter().map(|(_, template)| template).chain(&self.working_directory);
        arguments.chain(others).any(|template| template.mentions(variable))
    }
}

fn rendered(template: &Template, values: &Value, setting: &str) -> Result<String, CommandError> {
    let text = template.fill(values).map_err(|error| CommandError::new(setting, error.to_string()))?;
    if text.contains('\0') {
        return Err(CommandError::new(setting, "its text holds a NUL, which only `input: stdin` or `file` can carry"));
    }
    Ok(text)
}

fn argument_of(template: &Template, values: &Value, before: &[String], setting: &str) -> Result<String, CommandError> {
    let text = rendered(template, values, setting)?;
    // What the operator wrote before the first variable says what kind of argument it is.
    let alone = template.source().trim_start().starts_with("{");
    let ended = before.iter().any(|argument| argument == "--");
    let client_s = OF_CLIENTS.iter().any(|name| template.mentions(name));
    if alone && !ended && client_s && text.starts_with('-') {
        let reason = "a text of the request begins with `-` and would be taken for an option: give the prompt by `input: stdin` or \
                      `file`, write `--option={{ prompt }}`, or put `--` before it";
        return Err(CommandError::new(setting, reason));
    }
    Ok(text)
}

/// A new file that only its owner can read.
fn written(prompt: &str) -> std::io::Result<TempPath> {
    let mut file = tempfile::Builder::new().prefix("polyport-").suffix(".txt").tempfile()?;
    file.write_all(prompt.as_bytes())?;
    Ok(file.into_temp_path())
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn command(arguments: &[&str]) -> Command {
        Command {
            program: "sh".to_owned(),
            paths: vec!["/usr/bin".into(), "/bin".into()],
            folder: "/".into(),
            arguments: arguments.iter().map(|text| Argument::One(Template::value(text).unwrap())).collect(),
            environment: vec![("A".to_owned(), "1".to_owned())],
            variables: Vec::new(),
            working_directory: None,
            input: Input::Nothing,
        }
    }

    fn given(value: serde_json::Value) -> Map<String, serde_json::Value> {
        serde_json::from_value(value).unwrap()
    }

    fn arguments(command: &Command, value: serde_json::Value) -> Result<Vec<String>, String> {
        command.launch(given(value)).map(|launch| launch.arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn templates_are_filled_in_and_groups_left_out() {
        let mut command = command(&["-m", "{{ path }}", "--prompt={{ prompt }}"]);
        let group = ["--temp", "{{ temperature }}"].map(|text| Template::value(text).unwrap());
        command.arguments.push(Argument::Together(group.to_vec()));
        let given = json!({"path": "/m.gguf", "prompt": "-x; rm $HOME `id`", "temperature": 0.5});
        let all = ["-m", "/m.gguf", "--prompt=-x; rm $HOME `id`", "--temp", "0.5"];
        assert_eq!(arguments(&command, given).unwrap(), all);
        assert_eq!(arguments(&command, json!({"path": "/m", "prompt": "x"})).unwrap(), ["-m", "/m", "--prompt=x"]);
        assert_eq!(arguments(&command, json!({"prompt": "x"})).unwrap_err(), "`args[1]`: undefined value");
    }

    #[test]
    fn a_prompt_does_not_become_an_option() {
        let refused = arguments(&command(&["{{ prompt }}"]), json!({"prompt": "--output=/etc/passwd"})).unwrap_err();
        assert!(refused.starts_with("`args[0]`: a text of the request begins with `-`"), "{refused}");
        assert!(arguments(&command(&["{% if true %}{{ prompt }}{% endif %}"]), json!({"prompt": "-x"})).is_err());
        assert!(arguments(&command(&[" {{ messages[0].content }}"]), json!({"messages": [{"content": "-x"}]})).is_ok());
        assert_eq!(arguments(&command(&["--", "{{ prompt }}"]), json!({"prompt": "-x"})).unwrap(), ["--", "-x"]);
        assert_eq!(arguments(&command(&["--seed", "{{ seed }}"]), json!({"seed": -1})).unwrap(), ["--seed", "-1"]);
        assert!(arguments(&command(&["{{ prompt }}"]), json!({"prompt": "a\0b"})).unwrap_err().contains("NUL"));
    }

    #[test]
    fn the_setting_at_fault_is_named() {
        let mut missing = command(&[]);
        missing.program = "no-such-program".to_owned();
        assert_eq!(missing.find().unwrap_err().setting, "command");
        missing.program = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").to_owned();
        assert_eq!(missing.find().unwrap_err().setting, "command");
        let mut nowhere = command(&[]);
        nowhere.working_directory = Some(Template::value("/no/{{ model }}").unwrap());
        assert_eq!(nowhere.launch(given(json!({"model": "m"}))).unwrap_err().setting, "working_directory");
        let mut broken = command(&[]);
        broken.variables = vec![("B".to_owned(), Template::value("{{ nothing }}").unwrap())];
        assert_eq!(broken.launch(Map::new()).unwrap_err().setting, "env.B");
    }

    #[test]
    fn the_prompt_comes_by_stdin_or_file() {
        let mut command = command(&["{{ file }}"]);
        command.input = Input::File;
        let launch = command.launch(given(json!({"prompt": "-é\0"}))).unwrap();
        let [path] = &launch.arguments[..] else { panic!("{:?}", launch.arguments) };
        let path = path.clone();
        assert_eq!(std::fs::read(&path).unwrap(), "-é\0".as_bytes());
        drop(launch);
        assert!(!Path::new(&path).exists());
        command.arguments.clear();
        command.input = Input::Stdin;
        assert_eq!(command.launch(given(json!({"prompt": "-é"}))).unwrap().stdin.unwrap(), "-é".as_bytes());
    }

    proptest! {
        /// Whatever a client writes: the number of arguments stays, and none becomes an option.
        #[test]
        fn no_text_of_a_client_is_more_than_one_argument(prompt in ".*", system in "-.*") {
            let command = command(&["-p", "{{ prompt }}", "--system={{ system }}", "--", "{{ system }}"]);
            match arguments(&command, json!({"prompt": prompt, "system": system})) {
                Ok(all) => {
                    prop_assert_eq!(all.len(), 5);
                    prop_assert!(!all[1].starts_with('-') && all[1] == prompt);
                    prop_assert!(all[2].starts_with("--system="));
                }
                Err(_) => prop_assert!(prompt.starts_with('-') || prompt.contains('\0') || system.contains('\0')),
            }
        }
    }
}
