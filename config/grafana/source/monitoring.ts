import { bars, curves, dashboard, growth, metric, quantile, rate, stat, steps } from './panels.js';

const open = 'state=~"open|acknowledged|confirmed|rectifying"';
const alerts = (labels: string) => `sum(${metric('alerts', labels)})`;
const whole = '[$__range]';

export const monitoring = dashboard(
  'fiscwatch-monitoring',
  '监控预警 · Monitoring',
  'What the rules found and what became of it: findings, alerts by state, severity and age, how fast they are dealt with, and how often each rule is right.',
  [
    {
      title: '预警',
      pieces: [
        stat('未办结预警', 'Alerts that are not over.', 'short', { expr: alerts(open) }),
        stat('待受理', 'Alerts that nobody has acknowledged.', 'short', { expr: alerts('state="open"') }, { thresholds: steps('green', [1, 'orange']) }),
        stat('红色未办结', 'Critical alerts that are not over.', 'short', { expr: `sum(${metric('alerts', `severity="critical",${open}`)}) or vector(0)` }, { thresholds: steps('green', [1, 'red']) }),
        stat('逾期', 'Alerts that are past the time that alerts.service_levels allows, to acknowledge or to close.', 'short', { expr: `sum(${metric('alerts_overdue')})` }, { thresholds: steps('green', [1, 'red']) }),
        stat('升级', 'Escalations since the start, because nobody acknowledged in time.', 'short', { expr: `sum(${metric('alerts_escalated_total')})` }),
        stat('规则出错', 'Events that a rule could not be evaluated for, in the time shown; 0 is right.', 'short', { expr: `sum(increase(${metric('rule_errors_total', '', whole)}))` }, { decimals: 0, thresholds: steps('green', [1, 'red']) }),
        curves('预警（按状态）', 'Alerts by state.', 'short', [{ expr: `sum by (state) (${metric('alerts')})`, legend: '{{state}}' }], { stacked: true, min: 0 }),
        curves('未办结预警（按级别）', 'Alerts that are not over, by severity.', 'short', [{ expr: `sum by (severity) (${metric('alerts', open)})`, legend: '{{severity}}' }], { stacked: true, min: 0 }),
        bars('逾期（按级别与环节）', 'Alerts past their service level, by severity and stage: acknowledge or close.', 'short', { expr: `sum by (severity, stage) (${metric('alerts_overdue')})`, legend: '{{severity}} {{stage}}' }),
        curves('受理用时', 'From opened to acknowledged, over the time shown: median and 90th percentile.', 's', [
          { expr: quantile(0.5, 'alert_acknowledge_seconds', 'severity', whole), legend: '中位 {{severity}}' },
          { expr: quantile(0.9, 'alert_acknowledge_seconds', 'severity', whole), legend: '九成 {{severity}}' },
        ], { width: 6 }),
        curves('办结用时', 'From opened to over, over the time shown: median and 90th percentile.', 's', [
          { expr: quantile(0.5, 'alert_close_seconds', 'severity', whole), legend: '中位 {{severity}}' },
          { expr: quantile(0.9, 'alert_close_seconds', 'severity', whole), legend: '九成 {{severity}}' },
        ], { width: 6 }),
      ],
    },
    {
      title: '疑点',
      pieces: [
        bars('疑点（按规则）', 'Findings of live rules in the time shown, the fifteen rules with most.', 'short', { expr: `topk(15, ${growth('rule_findings_total', 'rule', 'mode="live"')} > 0)`, legend: '{{rule}}' }, { height: 12, decimals: 0 }),
        [curves('疑点（按级别）', 'Findings a second, by severity.', 'ops', [{ expr: rate('rule_findings_total', 'severity'), legend: '{{severity}}' }], { height: 6, stacked: true, min: 0 }),
        curves('试运行规则的疑点', 'Findings of shadow rules a second: recorded, nobody notified.', 'ops', [{ expr: rate('rule_findings_total', 'mode', 'mode="shadow"'), legend: '{{mode}}' }], { height: 6, min: 0 })],
        bars('规则准确率', 'Confirmed alerts / alerts that were judged. Low: tune the rule, its exceptions or its parameters.', 'percentunit', { expr: `sort(max by (rule) (${metric('rule_precision')}))`, legend: '{{rule}}' }, { max: 1, thresholds: steps('red', [0.3, 'orange'], [0.7, 'green']) }),
        bars('核实结果', 'Officers’ verdicts by rule.', 'short', { expr: `sum by (rule, verdict) (${metric('rule_verdicts')})`, legend: '{{rule}} {{verdict}}' }),
        bars('例外命中', 'Events that an exception took out, in the time shown.', 'short', { expr: `topk(15, ${growth('rule_excepted_total', 'rule')})`, legend: '{{rule}}' }, { decimals: 0 }),
        bars('规则出错（按规则）', 'Events that a rule could not be evaluated for, in the time shown.', 'short', { expr: `topk(15, ${growth('rule_errors_total', 'rule')})`, legend: '{{rule}}' }, { decimals: 0, thresholds: steps('green', [1, 'red']) }),
      ],
    },
    {
      title: '通知',
      pieces: [
        curves('通知（按结果）', 'Attempts to notify a second: accepted, retried, parked.', 'ops', [{ expr: rate('notifications_total', 'sink, result'), legend: '{{sink}} {{result}}' }], { min: 0 }),
        curves('因静默等等待的通知', 'Times a second that something to tell had to wait, by what muted it.', 'ops', [{ expr: rate('notifications_held_total', 'reason'), legend: '{{reason}}' }], { min: 0 }),
      ],
    },
  ],
);
