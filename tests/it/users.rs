//! Who may do what, by the real binary: open books, sign-ins, tokens, roles, two people.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use sqlx::{AnyConnection, Connection as _};

use crate::harness::{Done, Folder, eventually};
use crate::site::{SITE, registers};

const ROLES: [&str; 7] = ["admin", "operator", "cashier", "finance", "approver", "energy", "viewer"];

fn password(name: &str) -> String {
    format!("four words of {name}\n")
}

/// Adds a user as whoever is signed in.
fn add(folder: &Folder, name: &str, roles: &str) {
    let done = folder.run_as("", &password(name), &["user", "add", name, "--role", roles, "--password-stdin"]);
    assert!(done.status.success(), "{}", done.stderr);
}

fn sign_in(folder: &Folder, name: &str, typed: &str) -> Done {
    folder.run_as("", typed, &["sign-in", name, "--password-stdin"])
}

/// The same by another system user, whose configuration is another.
fn sign_in_elsewhere(folder: &Folder, name: &str, typed: &str) -> Done {
    let (config, annas) = (folder.path("config"), folder.path("annas"));
    std::fs::rename(&config, &annas).unwrap();
    let done = sign_in(folder, name, typed);
    let _ = std::fs::remove_dir_all(&config);
    std::fs::rename(annas, config).unwrap();
    done
}

/// A folder whose book has the admin `anna`, who is signed in: commands without a token are hers.
fn with_anna() -> Folder {
    let folder = Folder::with_site(SITE);
    add(&folder, "anna", "admin");
    let done = sign_in(&folder, "anna", &password("anna"));
    assert!(done.status.success() && done.stdout.is_empty(), "{done:?}");
    folder
}

/// A user with a token, made by anna.
fn user(folder: &Folder, name: &str, roles: &str) -> String {
    add(folder, name, roles);
    token(folder, name, "t", "90d")
}

fn token(folder: &Folder, name: &str, token: &str, expires: &str) -> String {
    let secret = folder.ok(&["token", "new", token, "--for", name, "--expires", expires]);
    let secret = secret.trim_end();
    assert!(secret.starts_with("mlt_") && secret.len() == 68, "nothing but the secret: {secret}");
    secret.to_owned()
}

fn ok_as(folder: &Folder, token: &str, words: &[&str]) -> String {
    let done = folder.run_as(token, "", words);
    assert!(done.status.success(), "{words:?}: {}", done.stderr);
    done.text()
}

fn refused_as(folder: &Folder, token: &str, words: &[&str], pieces: &[&str]) {
    folder.run_as(token, "", words).assert_refused(words, pieces);
}

fn kept(folder: &Folder) -> PathBuf {
    let mut files = std::fs::read_dir(folder.path("config/meterledger")).unwrap();
    files.next().unwrap().unwrap().path()
}

#[test]
fn a_book_without_users_trusts_whoever_opens_it_and_its_first_user_is_an_admin() {
    let folder = Folder::with_site(SITE);
    assert!(folder.ok(&["whoami"]).contains("tester: a claim: this book has no user"));
    assert!(folder.ok(&["--actor", "desk", "whoami"]).contains("desk: a claim"));
    folder.ok(&["--actor", "desk", "topup", "paid", "5", "--key", "a"]);
    assert_eq!(folder.sql("select max(actor) from book.audit_log where kind = 'top_up'"), "desk");
    assert_eq!(folder.ok(&["user", "list", "--format", "csv"]).lines().count(), 1);
    assert!(sign_in(&folder, "anna", "four words of mine").stderr.contains("this book has no user"));
    folder.refused(&["token", "new", "t"], &["no user \"tester\""]);
    folder.refused(&["sign-out"], &["nobody is signed in"]);
    let add = |words: &[&str], typed: &str, pieces: &[&str]| {
        folder.run_as("", typed, words).assert_refused(words, pieces);
    };
    let bob = ["user", "add", "bob", "--role", "finance", "--password-stdin"];
    add(&bob, "four words of mine", &["the first user of a book must be an admin", "--role admin"]);
    let anna = ["user", "add", "anna", "--role", "admin", "--password-stdin"];
    add(&anna, "too short", &["has 9 characters", "at least 10"]);
    add(
        &["user", "add", "Anna", "--role", "admin", "--password-stdin"],
        "four words of mine",
        &["\"Anna\" is no name"],
    );
    add(
        &["user", "add", "anna", "--role", "boss", "--password-stdin"],
        "four words of mine",
        &["no role \"boss\"", "viewer"],
    );
    folder.refused(&["user", "add", "anna", "--role", "admin"], &["no terminal", "--password-stdin"]);
    let said = folder.run_as("", "four words of mine", &anna);
    assert!(said.text().contains("added user anna: admin\nit is the first user"), "{}", said.text());
    // From here on nobody is trusted.
    let nobody = ["this book has users, and nobody is signed in", "meterledger sign-in NAME", "METERLEDGER_TOKEN"];
    for words in [["balance"].as_slice(), &["whoami"], &["--actor", "anna", "topup", "paid", "5", "--key", "b"]] {
        folder.refused(words, &nobody);
    }
    add(&["user", "add", "bob", "--role", "admin", "--password-stdin"], "four words of mine", &nobody);
    let server = folder.serve();
    folder.refused(&["balance"], &nobody);
    folder.refused(&["apply", "site.toml"], &nobody);
    assert!(server.terminate().status.success());
    let by_hand = "SELECT actor, subject FROM audit_log WHERE kind = 'user'";
    assert_eq!(book_rows(&folder, by_hand), [("tester".to_owned(), "user:anna".to_owned())]);
}

#[tokio::main(flavor = "current_thread")]
async fn book_rows(folder: &Folder, sql: &'static str) -> Vec<(String, String)> {
    sqlx::any::install_default_drivers();
    let file = folder.data().join("book.sqlite");
    let mut book = AnyConnection::connect(&format!("sqlite://{}?mode=rw", file.display())).await.unwrap();
    let rows = sqlx::query_as(sql).fetch_all(&mut book).await.unwrap();
    book.close().await.unwrap();
    rows
}

#[test]
fn a_sign_in_is_kept_for_this_user_alone_and_ended_by_signing_out() {
    let folder = with_anna();
    let said = folder.ok(&["whoami"]);
    assert!(said.contains("anna: admin; signed in until"), "{said}");
    let file = kept(&folder);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let secret = std::fs::read_to_string(&file).unwrap().lines().next().unwrap().to_owned();
    // The folder by another way is the same folder, another folder is another.
    let around = folder.path("config").join("../data");
    assert!(folder.run_in(&around, &["whoami"]).status.success());
    folder.run_in(&folder.path("other"), &["apply", "site.toml"]);
    assert!(folder.run_in(&folder.path("other"), &["whoami"]).text().contains("a claim"));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    folder.refused(&["whoami"], &["can be read by others"]);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(folder.run(&["sign-out"]).stderr.contains("anna is signed out"));
    assert!(!file.exists());
    folder.refused(&["whoami"], &["nobody is signed in"]);
    refused_as(&folder, &secret, &["whoami"], &["the sign-in of anna was ended at", "meterledger sign-in anna"]);
    // A name that nobody has and a wrong password are one answer.
    let wrong = sign_in(&folder, "anna", "three words of mine\n");
    let unknown = sign_in(&folder, "bertha", "four words of anna\n");
    assert_eq!(wrong.stderr, "error: the name or the password is wrong\n");
    assert_eq!((wrong.stderr, wrong.stdout), (unknown.stderr, unknown.stdout));
    assert!(!file.exists(), "nothing is kept");
    for _ in 0..4 {
        assert!(!sign_in(&folder, "anna", "three words of mine\n").status.success());
    }
    let waits = sign_in(&folder, "anna", &password("anna"));
    assert!(waits.stderr.contains("have failed within 15 minutes: it is refused until"), "{}", waits.stderr);
    let failures = "SELECT subject, detail FROM audit_log WHERE kind = 'sign_in_failed' ORDER BY id";
    let failures = book_rows(&folder, failures);
    assert_eq!(failures.iter().filter(|(subject, _)| subject == "user:anna").count(), 5);
    assert_eq!(failures.iter().filter(|(subject, _)| subject == "user").count(), 1, "{failures:?}");
}

#[test]
fn a_token_that_is_wrong_expired_revoked_or_of_a_disabled_user_proves_nothing() {
    let folder = with_anna();
    let bob = user(&folder, "bob", "viewer");
    assert!(ok_as(&folder, &bob, &["whoami"]).contains("bob: viewer; by the token \"t\" until"));
    for served in [false, true] {
        let server = served.then(|| folder.serve());
        refused_as(&folder, "mlt_wrong", &["balance"], &["the token is none of this book", "sign-in NAME"]);
        let short = token(&folder, "bob", "short", "1s");
        let expired = || folder.run_as(&short, "", &["balance"]).stderr;
        let expired = eventually("it expires", || Some(expired()).filter(|said| !said.is_empty()));
        assert!(
            expired.contains("the token \"short\" of bob expired at") && expired.contains("token new"),
            "{expired}"
        );
        let other = token(&folder, "bob", "other", "1d");
        folder.ok(&["token", "revoke", "other", "--for", "bob"]);
        refused_as(&folder, &other, &["balance"], &["the token \"other\" of bob was ended at"]);
        let said = folder.ok(&["user", "disable", "bob"]);
        assert!(said.contains("bob is disabled; 0 sign-ins ended"), "{said}");
        refused_as(&folder, &bob, &["balance"], &["the user bob is disabled", "user enable bob"]);
        let said = sign_in_elsewhere(&folder, "bob", &password("bob")).stderr;
        assert!(said.contains("the user bob is disabled"), "{said}");
        // On a shared system user nobody becomes another without a word.
        let said = sign_in(&folder, "bob", &password("bob")).stderr;
        assert!(said.contains("anna is signed in") && said.contains("sign-out"), "{said}");
        folder.ok(&["user", "enable", "bob"]);
        ok_as(&folder, &bob, &["balance"]);
        if let Some(server) = server {
            assert!(server.terminate().status.success());
        }
    }
    for expires in ["0d", "-1d", "soon", "3651d"] {
        folder.refused(&["token", "new", "x", "--for", "bob", &format!("--expires={expires}")], &["--expires", "90d"]);
    }
    folder.refused(&["token", "new", "t", "--for", "bob"], &["bob has a token \"t\" that is valid"]);
    // A token makes no other of itself, and sees no others.
    refused_as(&folder, &bob, &["token", "new", "more"], &["needs bob in person", "sign-in bob"]);
    refused_as(&folder, &bob, &["token", "new", "more", "--for", "anna"], &["permission administer", "role admin"]);
    let listed = ok_as(&folder, &bob, &["token", "list", "--format", "csv"]);
    assert!(listed.contains("bob,api,t,") && !listed.contains("anna"), "{listed}");
    assert!(folder.ok(&["token", "list"]).contains("anna"));
    folder.ok(&["audit"]);
}

#[test]
fn a_new_password_ends_sign_ins_and_the_last_admin_stays() {
    let folder = with_anna();
    folder.refused(&["user", "disable", "anna"], &["anna is the last active admin", "another user admin first"]);
    folder.refused(&["user", "roles", "anna", "--set", "viewer"], &["anna is the last active admin"]);
    assert!(folder.ok(&["user", "roles", "anna", "--set", "admin", "--set", "viewer"]).contains("admin, viewer now"));
    folder.refused(&["user", "roles", "nobody", "--set", "viewer"], &["no user \"nobody\"", "user list"]);
    let bob = user(&folder, "bob", "cashier");
    let change = |token: &str, name: &str| {
        folder.run_as(token, "other words of mine\n", &["user", "password", name, "--password-stdin"])
    };
    assert!(change(&bob, "anna").stderr.contains("permission administer"));
    assert!(change(&bob, "bob").stderr.contains("needs bob in person"));
    let said = change("", "anna").text();
    assert!(said.contains("anna has a new password; 1 sign-ins ended"), "{said}");
    folder.refused(&["whoami"], &["the sign-in of anna was ended"]);
    assert!(!sign_in(&folder, "anna", &password("anna")).status.success());
    assert!(sign_in(&folder, "anna", "other words of mine\n").status.success());
    let listed = folder.ok(&["user", "list", "--format", "csv"]);
    assert!(listed.contains("anna,,\"admin, viewer\",") && listed.contains("bob,,cashier,"), "{listed}");
    assert_eq!(folder.sql("select name, roles from users order by name"), "anna,\"admin, viewer\"\nbob,cashier");
    assert_eq!(folder.sql("select owner, kind, name from tokens where kind = 'api'"), "bob,api,t");
    folder.ok(&["audit"]);
}

#[test]
fn who_signs_in_again_has_one_sign_in() {
    let folder = Folder::with_site(SITE);
    let words = ["user", "add", "anna", "--role", "admin", "--title", "Anna Li", "--password-stdin"];
    assert!(folder.run_as("", &password("anna"), &words).status.success());
    for _ in 0..2 {
        let done = sign_in(&folder, "anna", &password("anna"));
        assert!(done.status.success() && done.stderr.contains("signed in as anna"), "{}", done.stderr);
        let valid = "select owner, count(*) from tokens where kind = 'sign_in' and revoked_at is null group by owner";
        assert_eq!(folder.sql(valid), "anna,1");
    }
    assert!(folder.ok(&["whoami"]).contains("anna (Anna Li): admin"));
    folder.ok(&["audit"]);
}

#[test]
fn each_role_does_its_own_and_nothing_else() {
    let folder = with_anna();
    let tokens: Vec<String> = ROLES.iter().map(|role| user(&folder, &format!("the.{role}"), role)).collect();
    let server = folder.serve();
    for (permission, words, roles) in [
        ("read", ["balance"].as_slice(), ROLES.as_slice()),
        ("analyse", &["sql", "select 1"], &["admin", "finance", "energy"]),
        ("analyse", &["apply", "site.toml", "--dry-run"], &["admin", "finance", "energy"]),
        ("sell", &["topup", "paid", "1", "--key", "role"], &["cashier", "finance"]),
        ("settle", &["bonus", "paid", "1", "--key", "gift", "--reason", "r"], &["finance"]),
        ("settle", &["period", "reopen", "--month", "2026-01", "--reason", "r"], &["finance"]),
        ("approve", &["refund", "reject", "99"], &["approver"]),
        ("approve", &["adjustment", "approve", "99", "--reason", "r"], &["approver"]),
        ("operate", &["quality", "ack", "gap", "F9", "--from", "2026-01-01", "--reason", "r"], &["operator"]),
        ("control", &["supply", "cancel", "99"], &["operator"]),
        ("configure", &["apply", "site.toml"], &["admin"]),
        ("administer", &["user", "list"], &["admin"]),
    ] {
        for (role, token) in ROLES.iter().zip(&tokens) {
            let said = folder.run_as(token, "", words).stderr;
            let refused = said.contains(&format!("needs the permission {permission}"));
            assert_ne!(refused, roles.contains(role), "{role}: {words:?}: {said}");
            if refused {
                assert!(said.contains(&format!("the.{role} has the role {role}")), "{said}");
                assert!(said.contains(&format!("(role {})", roles.join(", "))), "{said}");
            }
        }
    }
    assert!(server.terminate().status.success());
    // The same without the server.
    refused_as(&folder, &tokens[6], &["topup", "paid", "1", "--key", "v"], &["`topup` needs the permission sell"]);
    ok_as(&folder, &tokens[2], &["topup", "paid", "1", "--key", "w"]);
    let actors = "select distinct actor from book.audit_log where kind in ('top_up', 'bonus') order by actor";
    assert_eq!(folder.sql(actors), "the.cashier\nthe.finance");
    // Roles count at once.
    folder.ok(&["user", "roles", "the.viewer", "--set", "viewer,cashier"]);
    ok_as(&folder, &tokens[6], &["topup", "paid", "1", "--key", "v"]);
    folder.ok(&["audit"]);
}

#[test]
fn a_refund_needs_two_users_and_nobody_is_two() {
    let folder = with_anna();
    let [bob, carl] = ["bob", "carl"].map(|name| user(&folder, name, "cashier,approver"));
    ok_as(&folder, &bob, &["topup", "paid", "100", "--key", "p"]);
    let ask = |key: &'static str| ["refund", "paid", "40", "--key", key, "--reason", "left"];
    let server = folder.serve();
    assert!(ok_as(&folder, &bob, &ask("r1")).contains("refund 1 of 40.00 of paid waits for a second person"));
    refused_as(&folder, &bob, &["refund", "approve", "1"], &["bob asked for refund 1", "second person"]);
    let claims = ["--actor", "carl", "refund", "approve", "1"];
    refused_as(&folder, &bob, &claims, &["--actor", "\"carl\"", "bob is who asks", "nobody acts as another"]);
    // Another token of the same user is the same person.
    let again = token(&folder, "bob", "second", "1d");
    refused_as(&folder, &again, &["refund", "approve", "1"], &["bob asked for refund 1"]);
    assert!(ok_as(&folder, &carl, &["--actor", "carl", "refund", "approve", "1"]).contains("refund 1 is paid"));
    assert!(server.terminate().status.success());
    ok_as(&folder, &carl, &ask("r2"));
    refused_as(&folder, &carl, &["--actor", "bob", "refund", "approve", "2"], &["nobody acts as another"]);
    refused_as(&folder, &carl, &["refund", "approve", "2"], &["carl asked for refund 2"]);
    ok_as(&folder, &bob, &["refund", "approve", "2"]);
    let decided = folder.sql("select proposed_by, decided_by from refunds order by refund_id");
    assert_eq!(decided, "bob,carl\ncarl,bob");
    folder.ok(&["audit"]);
}

#[test]
fn no_secret_is_in_sql_in_the_audit_log_or_in_what_is_logged() {
    let folder = with_anna();
    let bob = user(&folder, "bob", "operator,energy");
    folder.write("long.csv", &registers(0, 20));
    let server = folder.serve();
    ok_as(&folder, &bob, &crate::harness::import_words("long.csv"));
    sign_in_elsewhere(&folder, "bob", "a wrong password of bob\n");
    let signed_in = std::fs::read_to_string(kept(&folder)).unwrap().lines().next().unwrap().to_owned();
    for table in ["password_hashes", "token_hashes", "sign_in_attempts"] {
        folder.refused(&["sql", &format!("select * from book.{table}")], &[table]);
        let known = format!("select count(*) from information_schema.tables where table_name = '{table}'");
        assert_eq!(folder.sql(&known), "0");
    }
    let log = folder.ok(&["sql", "select * from book.audit_log", "--format", "csv"]);
    let tables = ["users", "user_roles", "tokens"].map(|name| folder.sql(&format!("select * from book.{name}")));
    assert_eq!(folder.sql("select actor from book.audit_log where kind = 'import'"), "bob");
    let changes = "select distinct kind from book.audit_log where subject like 'user%' order by kind";
    assert_eq!(folder.sql(changes), "sign_in_failed\ntoken\nuser");
    folder.ok(&["audit"]);
    let done = server.terminate();
    let everything = [log, tables.concat(), done.text(), done.stderr].concat();
    let hashed = book_rows(&folder, "SELECT hash, '' FROM token_hashes UNION ALL SELECT phc, '' FROM password_hashes");
    assert_eq!(hashed.len(), 2 + 2, "two passwords and two tokens");
    let secrets = ["words of", "wrong password", "argon2", "mlt_", &bob, &signed_in];
    for secret in secrets.into_iter().chain(hashed.iter().map(|(hash, _)| hash.as_str())) {
        assert!(!everything.contains(secret), "{secret}");
    }
    // The book itself keeps hashes alone.
    let bytes = std::fs::read(folder.data().join("book.sqlite")).unwrap();
    for secret in [bob.as_str(), &signed_in, "four words of", "wrong password"] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
    }
}
