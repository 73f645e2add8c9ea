//! A body of one's own.

use super::*;

/// Stops the daemon and lets everything that waits be due.
async fn skip_waiting(site: &Site, daemon: &mut Daemon) -> Daemon {
    daemon.stop().await;
    state::change(site, "UPDATE delivery SET due = 0 WHERE state IN ('retry', 'slow')").await;
    site.start()
}

async fn edited(with_daemon: bool) {
    let pair = pair().await;
    let receiver =
        Receiver::scripted(vec![Answer::Status(400), Answer::Status(400), Answer::Status(200)]).await;
    let site = Site::new(&named(&pair, &receiver.url(), json!({})));
    pair.fill_source(1..=1).await;
    let mut daemon = site.start();
    let letter = dead(&site, 1).await.remove(0);
    let body = "{\"type\": 1, \"srcColumn\": {\"by\": \"hand\"}}";
    std::fs::write(site.path("body.json"), body).unwrap();
    if !with_daemon {
        daemon.stop().await;
    }
    // Both databases are away: nobody needs to look.
    pair.drop_tables().await;
    let file = site.path("body.json").display().to_string();
    let words = ["deliveries", "edit", "-c", "{c}", &number(&letter), "--body", &file, "--note", "by hand"];
    ok(&site.run(&words), "are sent next");
    if !with_daemon {
        let show = site.run(&["deliveries", "show", "-c", "{c}", &number(&letter)]);
        ok(&show, "body that waits to be sent");
        Pair::of(pair.src.clone(), pair.des.clone()).await;
        pair.fill_source(1..=1).await;
        daemon = site.start();
    }
    daemon.until("it is sent", LIMIT, || receiver.count() == 3).await;
    let call = receiver.calls().remove(2);
    assert_eq!(String::from_utf8_lossy(&call.body), body, "as it is");
    assert_eq!(call.id(), format!("{}-2", letter["delivery"].as_str().unwrap()), "a new message");
    if with_daemon {
        Pair::of(pair.src.clone(), pair.des.clone()).await;
        pair.fill_source(1..=1).await;
    }
    daemon
        .until("it is seen not to have helped", LIMIT, || {
            listed(&site, &["--state", "retry"])
                .first()
                .is_some_and(|d| d["note"] == "acknowledged but not fixed")
        })
        .await;
    let mut daemon = skip_waiting(&site, &mut daemon).await;
    daemon.until("it is called back again", LIMIT, || receiver.count() == 4).await;
    let call = receiver.calls().remove(3);
    assert_eq!(
        (call.src("number").as_deref(), call.header("cupid-revision")),
        (Some("n1"), "3"),
        "the source's row"
    );
    let whole = read(&site.run(&["deliveries", "show", "-c", "{c}", &number(&letter), "--json"]));
    let act = &whole["acts"][0];
    assert_eq!((&act["edited"]["text"], &act["note"]), (&json!(body), &json!("by hand")));
    assert!(act["original"]["text"].as_str().unwrap().contains("n1"), "{act}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_delivery_is_sent_as_edited_once_without_reading() {
    edited(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_can_be_edited_while_no_daemon_runs() {
    edited(false).await;
}

/// What fails is not lost: the same bytes go out again while nothing has changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_message_that_fails_comes_again_as_it_was() {
    let pair = pair().await;
    let answers = [400, 400, 503, 503, 200].map(Answer::Status);
    let receiver = Receiver::scripted(answers.to_vec()).await;
    let site = Site::new(&named(&pair, &receiver.url(), json!({})));
    pair.fill_source(1..=1).await;
    let mut daemon = site.start();
    let letter = dead(&site, 1).await.remove(0);
    std::fs::write(site.path("body"), "not JSON").unwrap();
    let file = site.path("body").display().to_string();
    let words = ["deliveries", "edit", "-c", "{c}", &number(&letter), "--raw", "--body", &file];
    ok(&site.run(&words), "8 bytes");
    daemon.until("it is sent twice", LIMIT, || receiver.count() >= 4).await;
    let calls = receiver.calls();
    assert_eq!((&*calls[2].body, calls[2].id()), (&b"not JSON"[..], calls[3].id()));
    assert_eq!((&calls[3].body, calls[3].attempt()), (&calls[2].body, 4));
    // Of a dead one the next message has the row again.
    dead(&site, 1).await;
    ok(&site.run(&["deliveries", "replay", "-c", "{c}", &number(&letter)]), "1 delivery");
    daemon.until("it is called back", LIMIT, || receiver.count() == 5).await;
    assert_eq!(receiver.calls()[4].src("number").as_deref(), Some("n1"));
}

/// Killed while its call was open: what a person wrote goes out again, as the same message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_message_that_was_cut_off_goes_out_again_as_it_was() {
    let pair = pair().await;
    let answers = vec![Answer::Status(400), Answer::Status(400), Answer::Hang, Answer::Status(200)];
    let receiver = Receiver::scripted(answers).await;
    let site = Site::new(&named(&pair, &receiver.url(), json!({})));
    pair.fill_source(1..=1).await;
    let mut daemon = site.start();
    let letter = dead(&site, 1).await.remove(0);
    std::fs::write(site.path("body"), "not JSON").unwrap();
    let file = site.path("body").display().to_string();
    let words = ["deliveries", "edit", "-c", "{c}", &number(&letter), "--raw", "--body", &file];
    ok(&site.run(&words), "8 bytes");
    daemon.until("it is under way", LIMIT, || receiver.count() == 3).await;
    daemon.kill();
    let mut daemon = site.start();
    daemon.until("it is sent again", LIMIT, || receiver.count() == 4).await;
    let calls = receiver.calls();
    assert_eq!((&*calls[2].body, &*calls[3].body), (&b"not JSON"[..], &b"not JSON"[..]));
    assert_eq!((calls[2].id(), calls[3].attempt()), (calls[3].id(), calls[2].attempt() + 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_goes_through_and_one_that_is_too_large_is_refused() {
    let pair = pair().await;
    let receiver = Receiver::scripted([400, 400, 200].map(Answer::Status).to_vec()).await;
    let site = Site::new(&named(&pair, &receiver.url(), json!({})));
    pair.fill_source(1..=1).await;
    let mut daemon = site.start();
    let letter = dead(&site, 1).await.remove(0);
    let file = site.path("body").display().to_string();
    let words = ["deliveries", "edit", "-c", "{c}", &number(&letter), "--body", &file];
    std::fs::write(&file, format!("\"{}\"", "x".repeat(16 << 20))).unwrap();
    refused(&site.run(&words), 2, "more than 16777216 bytes");
    // Far beyond a line of the control socket.
    std::fs::write(&file, format!("\"{}\"", "x".repeat(2 << 20))).unwrap();
    ok(&site.run(&words), "2097154 bytes are sent next");
    daemon.until("it is sent", LIMIT, || receiver.count() == 3).await;
    assert_eq!(receiver.calls()[2].body.len(), 2_097_154);
}
