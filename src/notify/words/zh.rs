//! Chinese.

use super::Words;
use crate::model::Event;

pub(in crate::notify) const WORDS: Words = Words {
    what,
    means,
    over,
    extent,
    length,
    instance: "实例",
    task: "任务",
    destination: "目标",
    since: "开始",
    until: "结束",
    count: "次数",
    waiting: "正在等待",
    oldest: "最早一条始于",
    error: "最近的错误",
    part: "部分",
    next: "下一步",
    still: "（仍在持续）",
    recovered: "已恢复：",
    left: "不再检查：",
    left_means: "配置中已没有它，因此不再检查。等待中的内容会保留。",
    stray: "有投递的目标不在配置中",
    stray_means: "无人处理这些投递；它们原样保留，其他一切照常。请以原名恢复该目标并重启 cupid，或将其导出后关闭。",
    stray_over: "已没有投递在等待它。",
    several,
    more: |more| format!("…… 另有 {more} 条"),
    colon: "：",
    test_title: "[cupid] 测试消息",
    test_text: "这是一条测试消息：需要人处理时，会在这里通知。目前一切正常。",
};

fn what(event: Event) -> &'static str {
    match event {
        Event::Failing => "回调失败",
        Event::Dead => "有投递等待人工处理",
        Event::NotFixed => "已确认但未修复",
        Event::Ambiguous => "同一个键有多行",
        Event::Hot => "有的行一直在变化，从未静止",
        Event::Blocked => "任务受阻",
        Event::Emptied => "已暂停，副本似乎被清空",
        Event::Gone => "已暂停，接收方称其已不存在",
        Event::StoppedFollowing => "副本不再跟随",
        Event::Lag => "检查滞后",
        Event::State => "状态无法写入",
        Event::Unreachable => "数据库无法访问",
        Event::Disk => "磁盘即将写满",
        Event::Memory => "内存即将耗尽",
        Event::Descriptors => "文件描述符即将耗尽",
        Event::Reload => "修改后的配置被拒绝",
        Event::Audit => "审计发现差异，或未能全部比较",
        Event::Restarted => "cupid 的一个部分意外结束，已重新启动",
    }
}

fn means(event: Event) -> &'static str {
    match event {
        Event::Failing => {
            "回调已用完快速重试次数，此后放慢重试；或失败过多，除不时的一次探测外不再发送。不会丢失。请检查接收方；它恢复后 cupid 会自动继续。"
        }
        Event::Dead => "投递已用完重试次数，或无法按现状发送。会一直保留，在人工处理之前不再发送。",
        Event::NotFixed => {
            "接收方返回了 2xx，但副本仍不一致。这些回调会作为新消息再次发送：1 分钟、5 分钟后，之后每 10 分钟一次。请检查接收方的处理。"
        }
        Event::Ambiguous => {
            "源或副本中有多行使用同一个键，视为不一致，但不会回调。请删除多余的行；在 byColumn 上建唯一索引可避免再次出现。"
        }
        Event::Hot => {
            "这些行自发现不一致以来从未静止。副本一直在跟进，所以不回调，但也没有人看到它们一致。请查看是什么在不断写入。"
        }
        Event::Blocked => {
            "表、列、权限或密码不符合要求；其间不发出任何回调。原因消除后 cupid 会自动继续；状态中写明了原因。"
        }
        Event::Emptied => {
            "以前一致的行现在缺失：副本被清空，或换成了另一张表。不再向该接收方发送，发现的差异会保留。恢复这些行后 cupid 会自动继续；若确属有意，请告知 cupid。"
        }
        Event::Gone => {
            "接收方返回 410 Gone。不再向它发送，发现的差异会保留。接收方恢复或改配为其他接收方后，请告知 cupid。"
        }
        Event::StoppedFollowing => {
            "副本缺少的内容以前会自行补上，现在已有一段时间没有。缺失和不一致一经发现就会回调。请检查复制程序。"
        }
        Event::Lag => "有表没有按时检查，差异会较晚才被发现。",
        Event::State => "状态能写入之前，不扫描也不发送。请检查其所在磁盘。",
        Event::Unreachable => "数据库恢复之前无法比对，cupid 会一直重试。",
        Event::Disk => "状态所在磁盘写满后，将不再扫描和发送。",
        Event::Memory => "内存耗尽时系统可能结束 cupid，但不会丢失数据。",
        Event::Descriptors => "耗尽后无法建立新连接。请调高上限（LimitNOFILE）。",
        Event::Reload => {
            "收到 SIGHUP 后重新检查配置文件，发现问题。cupid 继续使用现有配置，此时重启会失败。日志和 `cupid check` 列出了问题。"
        }
        Event::Audit => {
            "已按计划比较所有行。缺失和不一致的行与其他差异一样回调；只有副本才有的行在设置了 `delete` 时由下一遍巡查回调。`cupid status` 会说明发现了什么、哪些未能比较。"
        }
        Event::Restarted => "这是程序缺陷。不会丢失数据，其他部分继续运行。请附上日志报告。",
    }
}

fn over(event: Event) -> &'static str {
    match event {
        Event::Failing => "没有需要慢速重试的回调了；仍在等待快速重试的会自动发送。",
        Event::Dead => "没有等待人工处理的投递了。",
        Event::NotFixed | Event::Ambiguous => "没有再发生。",
        Event::Hot => "这些行都已静止并完成比对。",
        Event::Blocked => "任务已继续。",
        Event::Emptied | Event::Gone => "回调已继续。",
        Event::StoppedFollowing => "副本重新跟随。",
        Event::Lag => "检查已恢复按时进行。",
        Event::State => "状态可以写入了。",
        Event::Unreachable => "数据库可以访问了。",
        Event::Disk | Event::Memory | Event::Descriptors => "余量已足够。",
        Event::Reload => "配置文件可以使用了。",
        Event::Audit => "最近一次审计比较了全部内容，没有差异。",
        Event::Restarted => "已在运行。",
    }
}

fn extent(event: Event, part: u64, whole: u64) -> String {
    match event {
        Event::Emptied => format!("抽查以前一致的 {whole} 行，缺失 {part} 行"),
        Event::Descriptors => format!("剩余 {part}，共 {whole}"),
        _ => format!("剩余 {part} MiB，共 {whole} MiB"),
    }
}

fn several(lasting: usize, recovered: usize) -> String {
    match (lasting, recovered) {
        (lasting, 0) => format!("{lasting} 条告警"),
        (0, recovered) => format!("{recovered} 条已恢复"),
        (lasting, recovered) => format!("{lasting} 条告警，{recovered} 条已恢复"),
    }
}

fn length(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} 秒"),
        120..7_200 => format!("{} 分钟", seconds / 60),
        7_200..172_800 => format!("{} 小时", seconds / 3600),
        _ => format!("{} 天", seconds / 86_400),
    }
}
