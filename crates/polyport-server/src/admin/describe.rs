//! What each endpoint is for, takes and answers, for the OpenAPI document.

use super::credentials::Act;
use super::people::{Ask as About, Kind as Of};
use super::session::Ask as Door;
use super::tokens::Ask as Tokens;
use super::usage::Ask as Usage;
use super::{Ask, What};

/// What is said of an endpoint.
pub(super) struct Described {
    pub(super) summary: &'static str,
    pub(super) sends: Sends,
    pub(super) answers: Answers,
    /// Statuses of refusals beside those of its kind.
    pub(super) statuses: &'static [u16],
}

/// What is sent.
pub(super) enum Sends {
    Nothing,
    /// A schema of this name.
    Json(&'static str),
    /// Many at once, also as text.
    Import,
}

/// What comes back, by the name of its schema.
pub(super) enum Answers {
    /// An object with an `ETag`.
    One(&'static str),
    /// 201, with `Location` and `ETag`.
    Made(&'static str),
    Plain(&'static str),
    /// A session began, with this status.
    Began(u16),
    /// 302, with `Location` and a cookie.
    Away,
    /// A page of this list.
    List(&'static str, &'static str),
    /// 503 if not.
    Readiness,
    /// In the envelope of token pools.
    Data(&'static str),
    DataList(&'static str),
    /// This document.
    Document,
    /// It is written while it is read, as one of these media types.
    Written(&'static [&'static str]),
}

/// The endpoints for clients: path, method, operation and what it is.
pub(super) const CLIENTS: [(&str, &str, &str, &str); 10] = [
    ("/v1/chat/completions", "post", "chatCompletions", "OpenAI Chat Completions"),
    ("/v1/responses", "post", "responses", "OpenAI Responses"),
    ("/v1/messages", "post", "messages", "Anthropic Messages"),
    ("/v1/messages/count_tokens", "post", "countTokensOfMessages", "Anthropic token counts"),
    ("/v1beta/models/{model}:generateContent", "post", "generateContent", "Gemini"),
    ("/v1beta/models/{model}:streamGenerateContent", "post", "streamGenerateContent", "Gemini, streamed"),
    ("/v1beta/models/{model}:countTokens", "post", "countTokens", "Gemini token counts"),
    ("/v1/embeddings", "post", "embeddings", "OpenAI embeddings"),
    ("/v1/completions", "post", "completions", "OpenAI completions of a text"),
    ("/v1/models", "get", "clientModels", "The models that the key may ask for"),
];

fn say(summary: &'static str, sends: Sends, answers: Answers) -> Described {
    Described { summary, sends, answers, statuses: &[] }
}

/// What is said of an endpoint.
pub(super) fn described(ask: Ask) -> Described {
    use Sends::Nothing;
    match ask {
        Ask::Providers => say("Services that answer", Nothing, Answers::List("providers", "Provider")),
        Ask::Provider => say("One of them", Nothing, Answers::One("Provider")),
        Ask::ProviderModels => Described {
            statuses: &[402, 408, 409, 413, 415, 429, 500, 501, 502, 503, 504, 529],
            ..say("The provider's own list of models, asked for now", Nothing, Answers::Plain("ModelsOfProvider"))
        },
        Ask::Learned => say("What its refusals taught", Nothing, Answers::Plain("Learned")),
        Ask::Forget => say("Forgets that", Nothing, Answers::Plain("Learned")),
        Ask::Credentials => say("Keys and accounts", Nothing, Answers::List("credentials", "Credential")),
        Ask::Credential => say("One of them", Nothing, Answers::One("Credential")),
        Ask::Statistics => say("How many are in which state", Nothing, Answers::Plain("CredentialStatistics")),
        Ask::Health => say("Which of them can be used", Nothing, Answers::List("credentials", "CredentialHealth")),
        Ask::Readiness => Described { statuses: &[503], ..say("Whether one can be used", Nothing, Answers::Readiness) },
        Ask::Act(act) => acted(act),
        Ask::Pools => say("Virtual models", Nothing, Answers::List("pools", "Pool")),
        Ask::Pool => say("One of them", Nothing, Answers::One("Pool")),
        Ask::Routes => say("Rules that look at the request", Nothing, Answers::List("routes", "Route")),
        Ask::Route => say("One of them", Nothing, Answers::One("Route")),
        Ask::Create(What::Provider) => {
            say("Declares a provider", Sends::Json("NewProvider"), Answers::Made("Provider"))
        }
        Ask::Create(What::Credential) => {
            say("Declares a key or an account", Sends::Json("NewCredential"), Answers::Made("Credential"))
        }
        Ask::Create(What::Pool) => say("Declares a pool", Sends::Json("NewPool"), Answers::Made("Pool")),
        Ask::Create(What::Route) => say("Declares a route", Sends::Json("NewRoute"), Answers::Made("Route")),
        Ask::Change(What::Provider) => say("Changes members", Sends::Json("ChangeProvider"), Answers::One("Provider")),
        Ask::Change(What::Credential) => {
            say("Changes members", Sends::Json("ChangeCredential"), Answers::One("Credential"))
        }
        Ask::Change(What::Pool) => say("Changes members", Sends::Json("ChangePool"), Answers::One("Pool")),
        Ask::Change(What::Route) => say("Changes members", Sends::Json("ChangeRoute"), Answers::One("Route")),
        Ask::Delete(_) => say("Deletes it", Nothing, Answers::Plain("Deleted")),
        Ask::Switch(what, on) => {
            let words = if on { "Switches it on, for good" } else { "Switches it off, for good" };
            let name = match what {
                What::Provider => "Provider",
                What::Credential => "Credential",
                What::Pool => "Pool",
                What::Route => "Route",
            };
            say(words, Nothing, Answers::One(name))
        }
        Ask::Import => say("Imports many keys or accounts at once", Sends::Import, Answers::Plain("Import")),
        Ask::Whole => say(
            "Makes everything that is given, or nothing where one of it has a mistake; what is there already stays",
            Sends::Json("Whole"),
            Answers::Plain("WholeMade"),
        ),
        Ask::Status => say("The gateway as it is now", Nothing, Answers::Plain("Status")),
        Ask::Problems => {
            let answers = Answers::List("problems", "DeclaredProblem");
            say("What the database declares and is not in force, with the reasons", Nothing, answers)
        }
        Ask::Models => say("What clients may ask for, and where it leads", Nothing, Answers::List("models", "Model")),
        Ask::Prices => say("What the shipped table says that models cost", Nothing, Answers::List("prices", "Price")),
        Ask::Presets => {
            let answers = Answers::List("presets", "Preset");
            say("Services that are known, and what each asks for", Nothing, answers)
        }
        Ask::Try => Described {
            statuses: &[404],
            ..say(
                "Whether a provider answers; nothing is declared",
                Sends::Json("Trial"),
                Answers::Plain("TrialResult"),
            )
        },
        Ask::Clients => {
            let answers = Answers::List("clients", "ClientGuide");
            say("Clients that are known, and what leads each of them here", Nothing, answers)
        }
        Ask::Explain => Described {
            statuses: &[404],
            ..say("What would happen to a request", Sends::Json("Question"), Answers::Plain("Explanation"))
        },
        Ask::Export => Described {
            statuses: &[503],
            ..say("Everything that the database declares, without secrets", Nothing, Answers::Plain("Export"))
        },
        Ask::Settings => say(
            "Every setting: what is in force, who says so, and what may stand there",
            Nothing,
            Answers::One("Settings"),
        ),
        Ask::Set => Described {
            statuses: &[412],
            ..say(
                "Changes what the database says, below the configuration file",
                Sends::Json("ChangeSettings"),
                Answers::One("Settings"),
            )
        },
        Ask::Configuration => {
            say("The configuration file as it is written, without secrets", Nothing, Answers::Plain("Configuration"))
        }
        Ask::Backup => say(
            "A copy of the database, whose secrets stay sealed",
            Nothing,
            Answers::Written(&["application/vnd.sqlite3"]),
        ),
        Ask::Notifications => {
            say("Messages that were sent, newest first", Nothing, Answers::List("notifications", "Notification"))
        }
        Ask::TestNotification => Described {
            statuses: &[404],
            ..say(
                "Sends a message to one address, once",
                Sends::Json("NotificationTest"),
                Answers::Plain("NotificationSent"),
            )
        },
        Ask::Overview => Described {
            statuses: &[404, 503],
            ..say("Figures over time, without gaps, and their sum", Nothing, Answers::Plain("Overview"))
        },
        Ask::OverviewLive => {
            let kinds = Answers::Written(&["text/event-stream; charset=utf-8"]);
            say("Each second as it ends, as events: `past`, `second`, `providers`, `missed`", Nothing, kinds)
        }
        Ask::Preview => {
            let answers = Answers::Plain("PoolPreview");
            say("Where the next requests to a pool would go", Sends::Json("PoolQuestion"), answers)
        }
        Ask::Usage(about) => usage(about),
        Ask::Download => {
            let kinds = Answers::Written(&["application/jsonl", "text/csv; charset=utf-8"]);
            say("All requests that are looked for, oldest first, in a file", Nothing, kinds)
        }
        Ask::Live => {
            let kinds = Answers::Written(&["text/event-stream; charset=utf-8"]);
            say("Requests as they end, as events", Nothing, kinds)
        }
        Ask::OpenApi => say("This document", Nothing, Answers::Document),
        Ask::People(of, about) => person(of, about),
        Ask::Audit => say("What was done, newest first", Nothing, Answers::List("audit", "AuditEntry")),
        Ask::Door(about) => door(about),
        Ask::Tokens(about) => token(about),
    }
}

fn usage(about: Usage) -> Described {
    let said = match about {
        Usage::Requests => say("Requests that have ended", Sends::Nothing, Answers::List("requests", "Request")),
        Usage::Request => {
            say("One of them, with what was said if that is kept", Sends::Nothing, Answers::One("Request"))
        }
        Usage::Ledger => say("What each attempt used and cost", Sends::Nothing, Answers::List("lines", "LedgerLine")),
        Usage::Sums => say("Sums by what is asked for", Sends::Nothing, Answers::Plain("Usage")),
        Usage::Forget => {
            let words = "Takes a user's names, addresses and words out of the log; what was used stays, under an id that nobody knows";
            say(words, Sends::Nothing, Answers::Plain("Forgotten"))
        }
        Usage::Quotas => {
            say("Limits, and what is left of them", Sends::Nothing, Answers::List("quotas", "QuotaStanding"))
        }
    };
    Described { statuses: &[404, 503], ..said }
}

fn acted(act: Act) -> Described {
    let words = match act {
        Act::Enable => "Uses it again, for good",
        Act::Disable => "Does not use it any more, for good",
        Act::Refresh => "Fetches an access token now",
        Act::Probe => "Asks for the list of models with it",
        Act::Quota => "Asks the service what is left of its allowance",
        Act::Revive => "Forgets its failures",
    };
    Described { statuses: &[502], ..say(words, Sends::Nothing, Answers::One("Credential")) }
}

fn person(of: Of, about: About) -> Described {
    let (list, name, new, change) = match of {
        Of::Teams => ("teams", "Team", "NewTeam", "ChangeTeam"),
        Of::Users => ("users", "User", "NewUser", "ChangeUser"),
        Of::Keys => ("keys", "Key", "NewKey", "ChangeKey"),
    };
    let said = match about {
        About::List => say("All of them", Sends::Nothing, Answers::List(list, name)),
        About::One => say("One of them", Sends::Nothing, Answers::One(name)),
        About::Create => say("Makes one", Sends::Json(new), Answers::Made(name)),
        About::Change => say("Changes members", Sends::Json(change), Answers::One(name)),
        About::Delete => say("Deletes it", Sends::Nothing, Answers::Plain("Deleted")),
        About::Switch(true) => say("Switches it on", Sends::Nothing, Answers::One(name)),
        About::Switch(false) => say("Switches it off", Sends::Nothing, Answers::One(name)),
        About::Rotate => say("Gives it another text", Sends::Json("Rotation"), Answers::One(name)),
    };
    Described { statuses: &[409, 412, 503], ..said }
}

fn door(about: Door) -> Described {
    let said = match about {
        Door::Offer => say(
            "How one may sign in, and whether the first admin has to be made",
            Sends::Nothing,
            Answers::Plain("Setup"),
        ),
        Door::SetUp => say("Makes the first admin", Sends::Json("FirstAdmin"), Answers::Began(201)),
        Door::SignIn => say("Signs in, with a cookie", Sends::Json("SignIn"), Answers::Began(200)),
        Door::GoElsewhere => {
            let said = say("Sends the browser to the identity provider", Sends::Nothing, Answers::Away);
            return Described { statuses: &[404, 409, 502], ..said };
        }
        Door::ComeBack => {
            let said = say("Signs in who comes back from there", Sends::Nothing, Answers::Away);
            return Described { statuses: &[401, 403, 404, 409, 429, 502, 503], ..said };
        }
        Door::Show => say("Who one is", Sends::Nothing, Answers::Plain("Session")),
        Door::SignOut => say("Signs out", Sends::Nothing, Answers::Plain("SignedOut")),
        Door::ChangePassword => say("Changes one's own password", Sends::Json("PasswordChange"), Answers::Began(200)),
        Door::SetPassword => say("Sets another password", Sends::Json("NewPassword"), Answers::Plain("PasswordSet")),
        Door::EndAll => say("Signs somebody out everywhere", Sends::Nothing, Answers::Plain("SessionsEnded")),
    };
    Described { statuses: &[400, 401, 403, 409, 429, 503], ..said }
}

fn token(about: Tokens) -> Described {
    match about {
        Tokens::List => say("All tokens, the newest first", Sends::Nothing, Answers::DataList("Token")),
        Tokens::Create => say("Imports one token", Sends::Json("NewToken"), Answers::Data("TokenImport")),
        Tokens::BatchImport => say("Imports many tokens", Sends::Json("TokenBatch"), Answers::Data("TokenImport")),
        Tokens::BatchDelete => say("Deletes many tokens", Sends::Json("TokenIds"), Answers::Data("TokensDeleted")),
        Tokens::One => say("One token", Sends::Nothing, Answers::Data("Token")),
        Tokens::Change => say("Switches a token on or off", Sends::Json("TokenChange"), Answers::Data("Token")),
        Tokens::Delete => say("Deletes a token", Sends::Nothing, Answers::Data("TokenDeleted")),
        Tokens::Refresh => say("Fetches an access token", Sends::Nothing, Answers::Data("TokenRefreshed")),
        Tokens::HealthCheck => {
            say("Fetches an access token and the quota", Sends::Nothing, Answers::Data("TokenRefreshed"))
        }
        Tokens::QuotaRefresh => say("Asks what is left", Sends::Nothing, Answers::Data("TokenQuota")),
        Tokens::RefreshAll => say("Fetches an access token for each", Sends::Nothing, Answers::Data("TokensRefreshed")),
        Tokens::Statistics => say("How many are in which state", Sends::Nothing, Answers::Data("TokenStatistics")),
        Tokens::Events => {
            say("What was done about tokens, the newest first", Sends::Nothing, Answers::DataList("TokenEvent"))
        }
        Tokens::Health => say("The health of each", Sends::Nothing, Answers::Data("TokenHealth")),
        Tokens::Readiness => say("Whether one can be used", Sends::Nothing, Answers::Data("TokenReadiness")),
    }
}
