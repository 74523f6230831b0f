import { bars, curves, dashboard, metric, quantile, rate, stat, steps } from './panels.js';

const count = (name: string, labels = '') => `sum(rate(${metric(name, labels, '[$__rate_interval]')}))`;
const process = (name: string, range = '') => `process_${name}{job="fiscwatch",instance=~"$instance"}${range}`;

export const daemon = dashboard(
  'fiscwatch-daemon',
  '运行状态 · Daemon',
  'Whether the daemon keeps up, and where its time and its disk go.',
  [
    {
      title: '状态',
      pieces: [
        stat('在线', 'Daemons that Prometheus can scrape.', 'short', { expr: 'sum(up{job="fiscwatch",instance=~"$instance"})' }, { width: 3, thresholds: steps('red', [1, 'green']) }),
        stat('版本', 'The running version, in the legend.', 'short', { expr: `max by (version) (${metric('build_info')})`, legend: '{{version}}' }, { width: 3 }),
        stat('运行时长', 'Since the start of the process.', 's', { expr: `time() - min(${process('start_time_seconds')})` }, { width: 3 }),
        stat('吞吐', 'Records a second, whatever became of them.', 'ops', { expr: count('events_total') }, { width: 3, decimals: 1 }),
        stat('事件滞后', 'Now less the latest event time, the worst source. It grows at night, when nothing is paid.', 's', { expr: `max(${metric('event_lag_seconds')})` }, { width: 3 }),
        stat('待发通知', 'What waits in the outbox for a sink.', 'short', { expr: `sum(${metric('outbox_pending')}) or vector(0)` }, { width: 3 }),
        stat('配置重载', '1: the last reload worked. 0: it was refused, the old rules are in force, the log says why.', 'short', { expr: `min(${metric('config_last_reload_successful')})` }, { width: 3, thresholds: steps('red', [1, 'green']) }),
        stat('磁盘余量', 'Free on the file system of the state.', 'bytes', { expr: `min(${metric('store_free_bytes')} > 0)` }, { width: 3, thresholds: steps('red', [5e9, 'orange'], [2e10, 'green']) }),
      ],
    },
    {
      title: '数据流',
      pieces: [
        bars('自检', 'What is wrong with the daemon by its own judgement (alerts.watch): 1 while it is.', 'short', { expr: `max by (trouble) (${metric('unwell')})`, legend: '{{trouble}}' }, { width: 24, height: 6, max: 1, decimals: 0, thresholds: steps('green', [1, 'red']) }),
        curves('记录（按结果）', 'Records a second: accepted, duplicate, rejected.', 'ops', [{ expr: rate('events_total', 'result'), legend: '{{result}}' }], { min: 0 }),
        curves('接受的事件（按来源与类型）', 'Accepted events a second.', 'ops', [{ expr: rate('events_total', 'source, type', 'result="accepted"'), legend: '{{source}} {{type}}' }], { min: 0, stacked: true }),
        curves('事件滞后', 'Now less the latest event time of a source.', 's', [{ expr: `max by (source) (${metric('event_lag_seconds')})`, legend: '{{source}}' }], { width: 8 }),
        curves('水位线滞后', 'Now less the watermark: windows close this late.', 's', [{ expr: `time() - max by (source) (${metric('watermark_timestamp_seconds')})`, legend: '{{source}}' }], { width: 8 }),
        curves('未读消息', 'Kafka messages not read yet, by source.', 'short', [{ expr: `sum by (source) (${metric('source_lag_records')})`, legend: '{{source}}' }], { width: 8, min: 0 }),
        bars('来源', '1: the source is read without trouble.', 'short', { expr: `min by (source) (${metric('source_up')})`, legend: '{{source}}' }, { width: 8, max: 1, decimals: 0, thresholds: steps('red', [1, 'green']) }),
        curves('隔离（按原因）', 'Records a second put into quarantine.', 'ops', [{ expr: rate('quarantined_total', 'source, reason'), legend: '{{source}} {{reason}}' }], { width: 8, min: 0 }),
        curves('重复、迟到、未知字段', 'Events a second that were known already, or behind the watermark; fields that the data dictionary does not know.', 'ops', [
          { expr: count('duplicates_total'), legend: '重复' },
          { expr: count('late_events_total'), legend: '迟到' },
          { expr: count('unknown_fields_total'), legend: '未知字段' },
        ], { width: 8, min: 0 }),
        curves('隔离区占用', 'Bytes in quarantine, and how many it may have.', 'bytes', [
          { expr: `sum(${metric('quarantine_bytes')})`, legend: '占用' },
          { expr: `sum(${metric('quarantine_limit_bytes')})`, legend: '上限' },
        ], { width: 8, min: 0 }),
        curves('窗口占用', 'Events and panes that windows hold in memory.', 'short', [{ expr: `sum by (kind) (${metric('window_items')})`, legend: '{{kind}}' }], { width: 8, min: 0 }),
      ],
    },
    {
      title: '限度',
      pieces: [
        curves('窗口内存', 'Bytes that windows hold, and how many they may hold before no more events are taken.', 'bytes', [
          { expr: `sum by (kind) (${metric('window_bytes')})`, legend: '{{kind}}' },
          { expr: `sum(${metric('window_limit_bytes')})`, legend: '上限' },
        ], { width: 8, min: 0 }),
        curves('数据库被占用', 'How long another program has held the database against a writer. Commits wait for it.', 's', [{ expr: `max(${metric('store_held_seconds')})`, legend: '已占用' }], { width: 8, min: 0 }),
        curves('拒绝的请求（按原因）', 'HTTP clients a second that were refused or cut off.', 'ops', [{ expr: rate('http_refused_total', 'cause'), legend: '{{cause}}' }], { width: 8, min: 0 }),
        curves('HTTP 连接', 'Connections that are open, and requests under way on them.', 'short', [{ expr: `sum by (kind) (${metric('http_connections')})`, legend: '{{kind}}' }], { width: 8, min: 0 }),
        curves('查询', 'How long the stream has waited for the query that runs; rules on a schedule that are due.', 'short', [
          { expr: `max(${metric('query_running_seconds')})`, legend: '已运行（秒）' },
          { expr: `sum(${metric('ticks_pending')})`, legend: '待执行' },
        ], { width: 8, min: 0 }),
        [stat('跳过的规则', 'Rules with mistakes that the daemon runs without (rules.on_error: skip).', 'short', { expr: `sum(${metric('rules_skipped')})` }, { width: 4, thresholds: steps('green', [1, 'red']) }),
        stat('占用次数', 'How often another program held the database for longer than a second, over the time shown.', 'short', { expr: `sum(increase(${metric('store_holds_total', '', '[$__range]')}))` }, { width: 4, decimals: 0 })],
        [stat('未能执行的查询', 'Ticks that were passed without an answer, over the time shown.', 'short', { expr: `sum(increase(${metric('ticks_passed_total', '', '[$__range]')})) or vector(0)` }, { width: 4, decimals: 0, thresholds: steps('green', [1, 'red']) }),
        stat('未结束的查询', 'Queries that nobody waits for any more and that have not ended.', 'short', { expr: `sum(${metric('queries_left_behind')})` }, { width: 4, thresholds: steps('green', [1, 'orange']) })],
      ],
    },
    {
      title: '各阶段用时',
      pieces: [
        curves('批次用时（按阶段，99%）', 'Time of a batch in each stage, 99th percentile.', 's', [{ expr: quantile(0.99, 'batch_duration_seconds', 'stage'), legend: '{{stage}}' }], { min: 0 }),
        curves('提交用时', 'Time of a durable commit.', 's', [
          { expr: quantile(0.5, 'commit_duration_seconds'), legend: '中位' },
          { expr: quantile(0.99, 'commit_duration_seconds'), legend: '99%' },
        ], { width: 6, min: 0 }),
        curves('每秒提交', 'Durable commits a second.', 'ops', [{ expr: count('commit_duration_seconds_count'), legend: '提交' }], { width: 6, min: 0 }),
        bars('最费时的规则', 'Seconds of evaluation per second, the ten rules that cost most.', 's', { expr: `topk(10, ${rate('rule_evaluation_seconds_total', 'rule')})`, legend: '{{rule}}' }, { decimals: 4 }),
        curves('CPU', 'Seconds of processor time a second.', 'short', [{ expr: `rate(${process('cpu_seconds_total', '[$__rate_interval]')})`, legend: '{{instance}}' }], { width: 6, min: 0 }),
        curves('内存', 'Resident memory.', 'bytes', [{ expr: process('resident_memory_bytes'), legend: '{{instance}}' }], { width: 6, min: 0 }),
      ],
    },
    {
      title: '发件箱与通道',
      pieces: [
        curves('待发通知（按通道）', 'What waits for a sink to accept it.', 'short', [{ expr: `sum by (sink) (${metric('outbox_pending')})`, legend: '{{sink}}' }], { width: 6, min: 0 }),
        curves('最早待发', 'How long the oldest of the outbox is due.', 's', [{ expr: `max(${metric('outbox_oldest_age_seconds')})`, legend: '最早' }], { width: 6, min: 0 }),
        curves('送达用时（按通道）', 'From the commit of an event to the acceptance of its notification.', 's', [
          { expr: quantile(0.5, 'alert_delivery_seconds', 'sink'), legend: '中位 {{sink}}' },
          { expr: quantile(0.99, 'alert_delivery_seconds', 'sink'), legend: '99% {{sink}}' },
        ], { width: 6, min: 0 }),
        curves('通知（按结果）', 'Attempts a second: accepted, retried, parked; outbox errors.', 'ops', [
          { expr: rate('notifications_total', 'sink, result'), legend: '{{sink}} {{result}}' },
          { expr: count('outbox_errors_total'), legend: '发件箱出错' },
        ], { width: 6, min: 0 }),
      ],
    },
    {
      title: '存储',
      pieces: [
        curves('占用', 'Bytes of the state on disk, sealed files included.', 'bytes', [{ expr: `sum(${metric('store_bytes')})`, legend: '状态目录' }], { width: 6, min: 0 }),
        curves('流水', 'Events in the journal, sealed ones included.', 'short', [{ expr: `sum(${metric('journal_events')})`, legend: '事件' }], { width: 6, min: 0 }),
        curves('封存与清理', 'Events a second that were sealed or deleted; sealing that did not work.', 'ops', [
          { expr: count('sealed_events_total'), legend: '封存' },
          { expr: count('retired_events_total'), legend: '清理' },
          { expr: count('seal_errors_total'), legend: '封存出错' },
        ], { width: 6, min: 0 }),
        [stat('恢复用时', 'Time the last start took to recover its state.', 's', { expr: `max(${metric('recovery_duration_seconds')})` }, { width: 3, height: 4, decimals: 2 }),
        stat('合并的标签', 'Label values counted as other, by label.', 'short', { expr: `sum(${metric('labels_folded_total')})` }, { width: 3, height: 4 })],
        stat('时钟偏差', 'The daemon’s clock less Prometheus’.', 's', { expr: `max((${metric('clock_timestamp_seconds')} > 0) - timestamp(${metric('clock_timestamp_seconds')}))` }, { width: 3, height: 4, decimals: 1 }),
      ],
    },
  ],
);
