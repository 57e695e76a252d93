use kernel::time::MINUTE;

use super::*;
use crate::access::{Hasher, Secret};
use crate::book::second_person::{Second, second_person};
use crate::book::sign_in::{self, ATTEMPTS, SignInError, WITHIN};
use crate::book::tokens::{Kind, TokenError, holder, issue, list, revoke};
use crate::book::{Book, chain};

async fn fresh() -> (tempfile::TempDir, Book) {
    let folder = tempfile::tempdir().unwrap();
    let book = Book::create(folder.path(), 1, Moment(0)).await.unwrap();
    (folder, book)
}

fn author(name: &str, claimed: bool, at: i64) -> Author {
    Author { name: name.to_owned(), claimed, at: Moment(at) }
}

fn phc(password: &str) -> String {
    Hasher::cheap().hash("nobody", &Secret::new(password), [3; 16]).unwrap()
}

/// Runs an expression with a transaction `$tx`, which is committed where it is `Ok`.
macro_rules! within {
    ($book:expr, $tx:ident, $work:expr) => {{
        let mut transaction = $book.begin().await.unwrap();
        let $tx = &mut transaction;
        let done = $work.await;
        if done.is_ok() {
            transaction.commit().await.unwrap();
        }
        done
    }};
}

async fn add_user(book: &Book, name: &str, roles: &[Role], by: &Author) -> Result<User, UserError> {
    let roles = roles.iter().copied().collect();
    within!(book, tx, add(tx, (name, Some("A person"), &roles), &phc("four words of mine"), by))
}

/// A book with the users `anna` (admin), `bob` (cashier) and `carl` (approver), added at the moments 1 to 3.
async fn with_users() -> (tempfile::TempDir, Book) {
    let (folder, book) = fresh().await;
    add_user(&book, "anna", &[Role::Admin], &author("root", true, 1)).await.unwrap();
    add_user(&book, "bob", &[Role::Cashier], &author("anna", false, 2)).await.unwrap();
    add_user(&book, "carl", &[Role::Approver], &author("anna", false, 3)).await.unwrap();
    (folder, book)
}

async fn audited(book: &Book) -> Vec<(String, String, String)> {
    let sql = "SELECT actor, kind, subject FROM audit_log ORDER BY id";
    let rows = sqlx::query_as(sql).fetch_all(book.reader()).await.unwrap();
    assert_eq!(chain::verify(book).await.unwrap().faults, []);
    rows
}

#[tokio::test]
async fn the_first_user_is_an_admin_and_from_then_on_a_claim_adds_nobody() {
    let (_folder, book) = fresh().await;
    let claim = author("root", true, 1);
    let error = add_user(&book, "bob", &[Role::Finance, Role::Approver], &claim).await.unwrap_err();
    assert!(matches!(error, UserError::FirstIsAdmin(_)), "{error}");
    assert!(audited(&book).await.is_empty());
    let anna = add_user(&book, "anna", &[Role::Admin, Role::Viewer], &claim).await.unwrap();
    let stored = named(&mut book.snapshot().await.unwrap(), "anna").await.unwrap();
    assert_eq!(stored.as_ref(), Some(&anna));
    let error = add_user(&book, "bob", &[Role::Viewer], &claim).await.unwrap_err();
    assert!(matches!(error, UserError::SignInFirst), "{error}");
    let error = within!(book, tx, set_password(tx, "anna", "x", &claim)).unwrap_err();
    assert!(matches!(error, UserError::SignInFirst), "{error}");
    assert_eq!(audited(&book).await, [("root".into(), "user".into(), "user:anna".into())]);
}

#[tokio::test]
async fn a_name_is_plain_not_the_programs_own_and_never_used_twice() {
    let (_folder, book) = with_users().await;
    let by = author("anna", false, 4);
    for name in ["", "Anna", "-x", ".x", "two words", "安娜", &"x".repeat(65)] {
        let error = add_user(&book, name, &[Role::Viewer], &by).await.unwrap_err();
        assert!(matches!(error, UserError::Name(_)), "{name}: {error}");
    }
    for name in ["billing", "server", "adjustment_limit"] {
        let error = add_user(&book, name, &[Role::Viewer], &by).await.unwrap_err();
        assert!(matches!(error, UserError::Reserved(_)), "{name}: {error}");
    }
    let error = add_user(&book, "dora", &[], &by).await.unwrap_err();
    assert!(matches!(error, UserError::NoRole(_)), "{error}");
    within!(book, tx, disable(tx, "bob", &by)).unwrap();
    let error = add_user(&book, "bob", &[Role::Viewer], &by).await.unwrap_err();
    assert!(error.to_string().contains("there is a user bob already"), "{error}");
}

#[tokio::test]
async fn there_is_always_an_active_admin() {
    let (_folder, book) = with_users().await;
    let by = author("anna", false, 4);
    let roles = |roles: &[Role]| roles.iter().copied().collect::<BTreeSet<_>>();
    let stays = |error: UserError| assert!(error.to_string().contains("anna is the last active admin"), "{error}");
    stays(within!(book, tx, disable(tx, "anna", &by)).unwrap_err());
    stays(within!(book, tx, set_roles(tx, "anna", &roles(&[Role::Finance]), &by)).unwrap_err());
    // An admin who is disabled is none.
    within!(book, tx, set_roles(tx, "bob", &roles(&[Role::Admin]), &by)).unwrap();
    within!(book, tx, disable(tx, "bob", &by)).unwrap();
    stays(within!(book, tx, disable(tx, "anna", &by)).unwrap_err());
    assert!(within!(book, tx, enable(tx, "bob", &by)).unwrap());
    assert!(!within!(book, tx, enable(tx, "bob", &by)).unwrap(), "nothing to change");
    assert_eq!(within!(book, tx, disable(tx, "anna", &by)).unwrap(), Some(0));
    assert_eq!(within!(book, tx, disable(tx, "anna", &by)).unwrap(), None);
    let all = all(&mut book.snapshot().await.unwrap()).await.unwrap();
    let active: Vec<_> = all.iter().filter(|user| user.disabled_at.is_none()).map(|user| user.name.as_str()).collect();
    assert_eq!(active, ["bob", "carl"]);
    assert_eq!(audited(&book).await.len(), 3 + 4, "each change once, and none for what changed nothing");
}

#[tokio::test]
async fn a_token_is_its_owner_until_it_expires_is_ended_or_the_owner_is_disabled() {
    let (_folder, book) = with_users().await;
    let by = author("anna", false, 10);
    let secret = Secret::of_token([1; 32]);
    let made = within!(book, tx, issue(tx, ("bob", Kind::Api, "ci"), (&secret.sha256(), Moment(100)), &by)).unwrap();
    let held = async |at: i64| {
        let held = holder(&mut book.snapshot().await.unwrap(), &secret, Moment(at)).await;
        held.map(|(user, token)| (user.name, token))
    };
    assert_eq!(held(99).await.unwrap(), ("bob".to_owned(), made));
    let error = held(100).await.unwrap_err().to_string();
    assert!(error.contains("the token \"ci\" of bob expired at"), "{error}");
    let other = holder(&mut book.snapshot().await.unwrap(), &Secret::of_token([2; 32]), Moment(11)).await;
    assert!(matches!(other, Err(TokenError::Unknown)), "{other:?}");
    // One name is one valid token.
    let again = within!(book, tx, issue(tx, ("bob", Kind::Api, "ci"), ("hash", Moment(100)), &by)).unwrap_err();
    assert!(again.to_string().contains("bob has a token \"ci\" that is valid"), "{again}");
    within!(book, tx, disable(tx, "bob", &by)).unwrap();
    assert!(matches!(held(50).await, Err(TokenError::Disabled(_))));
    let disabled = within!(book, tx, issue(tx, ("bob", Kind::Api, "x"), ("hash", Moment(100)), &by)).unwrap_err();
    assert!(matches!(disabled, UserError::Disabled(_)), "{disabled}");
    within!(book, tx, enable(tx, "bob", &by)).unwrap();
    assert!(held(50).await.is_ok(), "an API token is valid again");
    within!(book, tx, revoke(tx, "bob", "ci", &by)).unwrap();
    assert!(held(50).await.unwrap_err().to_string().contains("was ended at"));
    let gone = within!(book, tx, revoke(tx, "bob", "ci", &by)).unwrap_err();
    assert!(gone.to_string().contains("no token \"ci\" that is valid"), "{gone}");
    assert_eq!(list(&mut book.snapshot().await.unwrap(), Some("carl")).await.unwrap(), []);
    assert_eq!(list(&mut book.snapshot().await.unwrap(), None).await.unwrap().len(), 1);
    let kinds: Vec<_> = audited(&book).await.into_iter().filter(|(_, kind, _)| kind == "token").collect();
    assert_eq!(kinds, vec![("anna".to_owned(), "token".to_owned(), "user:bob".to_owned()); 2]);
}

#[tokio::test]
async fn a_new_password_or_a_disabled_user_ends_sign_ins_and_no_api_token() {
    let (_folder, book) = with_users().await;
    let by = author("anna", false, 10);
    let end = Moment(1_000);
    for (kind, hash) in [(Kind::SignIn, "a"), (Kind::SignIn, "b"), (Kind::Api, "c")] {
        within!(book, tx, issue(tx, ("bob", kind, "t"), (hash, end), &by)).unwrap();
    }
    assert_eq!(within!(book, tx, set_password(tx, "bob", &phc("another of mine"), &by)).unwrap(), 2);
    within!(book, tx, issue(tx, ("bob", Kind::SignIn, "t"), ("d", end), &by)).unwrap();
    assert_eq!(within!(book, tx, disable(tx, "bob", &by)).unwrap(), Some(1));
    let tokens = list(&mut book.snapshot().await.unwrap(), Some("bob")).await.unwrap();
    let valid: Vec<_> = tokens.iter().filter(|token| token.revoked_at.is_none()).map(|token| token.kind).collect();
    assert_eq!(valid, [Kind::Api]);
}

#[tokio::test]
async fn five_failures_make_a_name_wait_whether_anybody_has_it_or_not() {
    let (_folder, book) = with_users().await;
    for name in ["bob", "nobody"] {
        for attempt in 0..ATTEMPTS {
            let now = Moment(100 + attempt);
            let candidate = within!(book, tx, sign_in::begin(tx, name, now)).unwrap();
            assert_eq!(candidate.is_some(), name == "bob");
            let user = candidate.as_ref().map(|(user, _)| user.name.as_str());
            within!(book, tx, sign_in::fail(tx, user, &SignInError::Wrong, now)).unwrap();
        }
        let begin = async |at: i64| within!(book, tx, sign_in::begin(tx, name, Moment(at)));
        let waits = begin(200).await.unwrap_err();
        assert!(matches!(waits, SignInError::Waits(until) if until == Moment(100 + WITHIN)), "{waits}");
        assert!(begin(99 + WITHIN).await.is_err());
        assert!(begin(100 + WITHIN).await.is_ok(), "the time is over");
    }
    let failed = audited(&book).await.into_iter().filter(|(_, kind, _)| kind == "sign_in_failed");
    let subjects: Vec<_> = failed.map(|(actor, _, subject)| (actor, subject)).collect();
    let of = |subject: &str| ("sign-in".to_owned(), subject.to_owned());
    assert_eq!(subjects, [vec![of("user:bob"); 5], vec![of("user"); 5]].concat(), "what nobody is called is not kept");
}

#[tokio::test]
async fn a_sign_in_forgets_failures_and_is_none_where_the_password_changed_meanwhile() {
    let (_folder, book) = with_users().await;
    let now = Moment(MINUTE);
    for _ in 0..ATTEMPTS - 1 {
        within!(book, tx, sign_in::begin(tx, "bob", now)).unwrap();
    }
    let (_, stored) = within!(book, tx, sign_in::begin(tx, "bob", now)).unwrap().unwrap();
    let stored = stored.unwrap();
    assert!(within!(book, tx, sign_in::begin(tx, "bob", now)).is_err(), "it is counted before it is checked");
    let token = within!(book, tx, sign_in::succeed(tx, "bob", &stored, "hash", now)).unwrap();
    assert_eq!((token.kind, token.expires_at), (Kind::SignIn, now.plus(sign_in::VALID)));
    within!(book, tx, sign_in::begin(tx, "bob", now)).unwrap();
    within!(book, tx, set_password(tx, "bob", &phc("another of mine"), &author("anna", false, 9))).unwrap();
    let late = within!(book, tx, sign_in::succeed(tx, "bob", &stored, "hash2", now)).unwrap_err();
    assert!(matches!(late, SignInError::Wrong), "{late}");
    within!(book, tx, disable(tx, "bob", &author("anna", false, 9))).unwrap();
    let stored = password_hash(&mut book.snapshot().await.unwrap(), 2).await.unwrap().unwrap();
    let disabled = within!(book, tx, sign_in::succeed(tx, "bob", &stored, "hash3", now)).unwrap_err();
    assert!(matches!(disabled, SignInError::Disabled(_)), "{disabled}");
    let (_other, open) = fresh().await;
    let open = within!(open, tx, sign_in::begin(tx, "bob", now)).unwrap_err();
    assert!(matches!(open, SignInError::NoUsers), "{open}");
}

#[tokio::test]
async fn a_second_person_is_another_user_of_the_book_or_another_claim_in_an_open_one() {
    let (_folder, open) = fresh().await;
    let (_other, users) = with_users().await;
    for (book, proposer, at, decider, found) in [
        (&open, "root", 0, "root", Second::Same),
        (&open, "root", 0, "head", Second::Another),
        (&users, "bob", 5, "carl", Second::Another),
        (&users, "bob", 5, "bob", Second::Same),
        // Before bob was a user anybody could say to be bob; nobody else ever was one.
        (&users, "bob", 1, "carl", Second::Unproven),
        (&users, "root", 5, "carl", Second::Unproven),
    ] {
        let mut conn = book.snapshot().await.unwrap();
        let second = second_person(&mut conn, (proposer, Moment(at)), decider).await.unwrap();
        assert_eq!(second, found, "{proposer} at {at}, {decider}");
    }
}
