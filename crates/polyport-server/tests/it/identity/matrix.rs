//! Every endpoint as everybody.

use serde_json::{Value, json};

use super::{ADMIN, Running, Shown, start, text};

/// What is written of who may do what.
const POLICY: &str = include_str!("../../../../../docs/ROLES.md");

struct Row {
    method: &'static str,
    path: &'static str,
    who: &'static str,
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for line in POLICY.lines().filter(|line| line.contains("| /admin/api/")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, method, path, who, _] = cells[..] else { panic!("{line}") };
        rows.push(Row { method, path: path.strip_prefix("/admin/api/").unwrap(), who });
    }
    rows
}

/// Those who ask. The member is the owner of what they ask about, where that has an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Actor {
    Nobody,
    ClientKey,
    Member,
    OtherMember,
    Manager,
    OtherManager,
    Admin,
    AdminKey,
}

const ACTORS: [Actor; 8] = [
    Actor::Nobody,
    Actor::ClientKey,
    Actor::Member,
    Actor::OtherMember,
    Actor::Manager,
    Actor::OtherManager,
    Actor::Admin,
    Actor::AdminKey,
];

impl Actor {
    fn rank(self) -> u8 {
        match self {
            Self::Nobody | Self::ClientKey => 0,
            Self::Member | Self::OtherMember => 1,
            Self::Manager | Self::OtherManager => 2,
            Self::Admin | Self::AdminKey => 3,
        }
    }
}

struct World {
    running: Running,
    client: String,
    people: Vec<(Actor, String)>,
    number: u32,
}

impl World {
    async fn make() -> Self {
        let running = start().await;
        let client = text(&running.to("POST", "keys", json!({ "name": "client" })).await, "key").to_owned();
        for team in ["blue", "red"] {
            running.to("POST", "teams", json!({ "name": team })).await;
        }
        let mut people = Vec::new();
        for (actor, user) in [
            (Actor::Member, json!({ "name": "member", "team": "blue" })),
            (Actor::OtherMember, json!({ "name": "other member", "team": "red" })),
            (Actor::Manager, json!({ "name": "manager", "team": "blue", "role": "manager" })),
            (Actor::OtherManager, json!({ "name": "other manager", "team": "red", "role": "manager" })),
            (Actor::Admin, json!({ "name": "admin", "role": "admin" })),
        ] {
            people.push((actor, text(&running.to("POST", "users", user).await, "id").to_owned()));
        }
        Self { running, client, people, number: 0 }
    }

    async fn shown(&self, actor: Actor) -> Shown {
        match actor {
            Actor::Nobody => Shown::nothing(),
            Actor::ClientKey => Shown::key(&self.client),
            Actor::AdminKey => Shown::key(ADMIN),
            signed_in => {
                let (_, id) = self.people.iter().find(|(known, _)| *known == signed_in).unwrap();
                self.running.session_of(id).await
            }
        }
    }

    /// Something new to ask about: of the member, or in the member's team.
    async fn object(&mut self, row: &Row) -> String {
        self.number += 1;
        let name = format!("object {}", self.number);
        let made = match row.path.split('/').next().unwrap() {
            "keys" => self.running.to("POST", "keys", json!({ "name": name, "user": "member" })).await,
            "users" => self.running.to("POST", "users", json!({ "name": name, "team": "blue" })).await,
            // Admins rename it, and switch it off.
            "teams" if row.who == "admin" => self.running.to("POST", "teams", json!({ "name": name })).await,
            "teams" => self.running.to("GET", "teams/blue", Value::Null).await,
            _ => return "nothing-of-this-id".to_owned(),
        };
        text(&made, "id").to_owned()
    }

    fn body(&mut self, row: &Row) -> Value {
        self.number += 1;
        let name = json!({ "name": format!("new {}", self.number) });
        match (row.method, row.path) {
            ("POST", "keys" | "users" | "teams") | ("PATCH", "keys/{id}" | "users/{id}" | "teams/{id}") => name,
            ("POST" | "PUT" | "PATCH", _) => json!({}),
            _ => Value::Null,
        }
    }
}

#[tokio::test]
async fn a13_every_endpoint_answers_everybody_as_it_is_written() {
    let mut world = World::make().await;
    let rows = rows();
    assert!(rows.len() > 80, "{}", rows.len());
    for row in &rows {
        let needed = ["anyone", "member", "manager", "admin"].iter().position(|who| *who == row.who).unwrap();
        for actor in ACTORS {
            let about = if row.path.contains("{id}") { world.object(row).await } else { String::new() };
            let (path, body) = (row.path.replace("{id}", &about), world.body(row));
            let shown = world.shown(actor).await;
            let (status, answer) = world.running.ask(&shown, row.method, &path, body).await;
            let code = answer["code"].as_str().unwrap_or_default();
            // Errors of tokens are written as scripts for them expect.
            let is = |wanted: u16, word: &str| status == wanted && (code == word || row.path.starts_with("tokens"));
            let told = format!("{} {path} as {actor:?}: {status} {answer}", row.method);
            if row.who == "anyone" {
                assert!(!matches!(code, "admin_key_needed" | "client_key" | "not_allowed"), "{told}");
                continue;
            }
            match actor {
                Actor::Nobody => assert!(is(401, "admin_key_needed"), "{told}"),
                Actor::ClientKey => assert!(is(403, "client_key"), "{told}"),
                _ if usize::from(actor.rank()) < needed => assert!(is(403, "not_allowed"), "{told}"),
                _ => {
                    let of_people = ["keys", "users", "teams"].contains(&row.path.split('/').next().unwrap());
                    let own = match actor {
                        Actor::Member => row.path.starts_with("keys"),
                        Actor::OtherMember | Actor::OtherManager => false,
                        _ => true,
                    };
                    let there = !of_people || !row.path.contains("{id}") || own;
                    if there {
                        assert!(!matches!(status, 401 | 403 | 500), "{told}");
                        assert!(!of_people || status < 300, "{told}");
                    } else {
                        assert!(is(404, "not_found"), "{told}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a13_keys_of_operators_and_clients_never_open_each_others_doors() {
    let world = World::make().await;
    let address = world.running.gateway.address;
    for (path, headers) in [
        ("/v1/models", vec![("x-api-key", ADMIN)]),
        ("/v1/models", vec![("authorization", concat!("Bearer ", "ap-canary-0123456789abcdef-admin"))]),
    ] {
        assert_eq!(polyport_testkit::raw::get(address, path, &headers).await.status, 401);
    }
    // A cookie asks no models either.
    let member = world.shown(Actor::Admin).await;
    let cookie = member.headers.iter().find(|(name, _)| name == "cookie").unwrap().1.clone();
    assert_eq!(polyport_testkit::raw::get(address, "/v1/models", &[("cookie", &cookie)]).await.status, 401);
    let query = format!("users?key={}", world.client);
    let (status, refused) = world.running.ask(&Shown::nothing(), "GET", &query, Value::Null).await;
    assert_eq!((status, text(&refused, "code")), (403, "client_key"));
}
