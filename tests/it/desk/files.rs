//! Deliveries in a file.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_move_to_a_fresh_state() {
    let pair = pair().await;
    let (receiver, works) = broken(&pair).await;
    let config = named(&pair, &receiver.url(), json!({}));
    let site = Site::new(&config);
    pair.fill_source(1..=5).await;
    let mut daemon = site.start();
    dead(&site, 5).await;
    // Beside the daemon, and without it.
    let beside = site.run(&["deliveries", "export", "-c", "{c}", "--state", "dead"]);
    daemon.stop().await;
    let file = site.path("dead.jsonl");
    let exported = site.run(&["deliveries", "export", "-c", "{c}", "--state", "dead"]);
    assert_eq!((exported.code, exported.stderr.as_str()), (Some(0), "5 written\n"), "{exported:?}");
    assert_eq!(exported.stdout, beside.stdout);
    std::fs::write(&file, &exported.stdout).unwrap();
    let lines: Vec<Value> = exported.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 5);
    assert!(lines.iter().all(|line| line["attempts"].as_array().unwrap().len() == 2), "{lines:?}");
    let one = site.run(&["deliveries", "export", "-c", "{c}", lines[2]["delivery"].as_str().unwrap()]);
    assert_eq!(serde_json::from_str::<Value>(&one.stdout).unwrap(), lines[2]);
    let some = site.run(&["deliveries", "export", "-c", "{c}", "--limit", "2"]);
    assert_eq!(some.stdout.lines().count(), 2);

    let fresh =
        Site::new(&with(config.clone(), json!({ "state": site.path("fresh").display().to_string() })));
    let file = file.display().to_string();
    let import = |more: &[&str]| fresh.run(&[&["deliveries", "import", "-c", "{c}", &file], more].concat());
    ok(&import(&["--dry-run"]), "would be taken in: 5");
    assert_eq!(queued(&fresh, "dead"), 0);
    ok(&import(&[]), "taken in: 5");
    ok(&import(&[]), "were there already: 5");
    let mut daemon = fresh.start();
    daemon.wait_output(" started").await;
    ok(&import(&[]), "were there already: 5");
    assert_eq!(queued(&fresh, "dead"), 5);
    works.store(true, std::sync::atomic::Ordering::SeqCst);
    ok(&fresh.run(&["deliveries", "replay", "-c", "{c}", "--state", "dead", "--yes"]), "5 deliveries");
    daemon
        .until("the copy is mended", LIMIT, || queued(&fresh, "main") + queued(&fresh, "verify") == 0)
        .await;
    assert_eq!(pair.differences().await, Vec::<i64>::new());
    let calls = receiver.calls();
    assert_eq!(calls.last().unwrap().header("cupid-revision"), "2", "revisions go on");
    assert_eq!(calls.last().unwrap().attempt(), 3, "and so do attempts");
}

/// Through the socket, with a daemon that takes them in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_with_mistakes_is_taken_in_as_far_as_it_can_be() {
    let pair = pair().await;
    let (receiver, _) = broken(&pair).await;
    let config = named(&pair, &receiver.url(), json!({}));
    let site = Site::new(&config);
    pair.fill_source(1..=3).await;
    let mut daemon = site.start();
    dead(&site, 3).await;
    daemon.stop().await;
    let exported = site.run(&["deliveries", "export", "-c", "{c}", "--state", "dead"]).stdout;
    let mut lines: Vec<String> = exported.lines().map(str::to_owned).collect();
    lines.insert(1, lines[0].clone());
    lines.insert(2, "{\"cupid\": 1".to_owned());
    lines.insert(3, lines[0].replace("\"state\":\"dead\"", "\"state\":\"gone\""));
    lines[4] = lines[4].replace("\"destination\":\"crm\"", "\"destination\":\"old\"");
    let file = site.path("mixed.jsonl").display().to_string();
    std::fs::write(&file, lines.join("\n\n")).unwrap();
    state::forget(&site);
    let mut quiet = config.clone();
    quiet["callbacks"] = "off".into();
    site.write(&quiet);
    let mut daemon = site.start();
    daemon
        .until("it has found the rows itself", LIMIT, || {
            queued(&site, "suspect") + queued(&site, "main") == 3
        })
        .await;
    let ran = site.run(&["deliveries", "import", "-c", "{c}", &file]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for word in ["line 5: not a delivery", "line 7: `state` is \"gone\""] {
        assert!(ran.stderr.contains(word), "{word}: {ran:?}");
    }
    for word in ["taken in: 1", "something newer of the same row: 3", "parked", "left out: 2"] {
        assert!(ran.stdout.contains(word), "{word}: {ran:?}");
    }
    ok(&site.run(&["queue", "-c", "{c}"]), "not in the configuration");
}
