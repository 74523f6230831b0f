import { bars, curves, dashboard, metric, stat, steps } from './panels.js';

const amount = (kind: string) => `sum(${metric('budget_amount', `kind="${kind}"`)})`;
const executed = `${amount('executed')} / ${amount('total')}`;
const elapsed = `max(${metric('budget_year_elapsed_ratio')})`;
const yuan = 'currencyCNY';
const red = steps('green', [1, 'red']);

export const budget = dashboard(
  'fiscwatch-budget',
  '预算执行 · Budget execution',
  'Totals of all budget lines, pace against the calendar, the units that spent most, overspending and the spending plan. Figures are gauges for the eye; the exact ones come from `fiscwatch budget`.',
  [
    {
      title: '总览',
      pieces: [
        stat('预算总额', 'Total: approved, supplemented, carried over and transferred, less what was reduced or reclaimed.', yuan, { expr: amount('total') }),
        stat('已执行', 'Executed: payments less refunds, with corrections.', yuan, { expr: amount('executed') }),
        stat('可用余额', 'Available: total less frozen, reserved and executed.', yuan, { expr: amount('available') }),
        stat('执行率', 'Executed / total.', 'percentunit', { expr: executed }, { decimals: 2 }),
        stat('时间进度', 'Elapsed share of the fiscal year at the latest event.', 'percentunit', { expr: elapsed }, { decimals: 2 }),
        stat('指标数', 'Budget lines in the ledger.', 'short', { expr: `sum(${metric('budget_lines')})` }),
        stat('冻结', 'Frozen.', yuan, { expr: amount('frozen') }),
        stat('在途预占', 'Reserved by applications that are neither paid nor withdrawn.', yuan, { expr: amount('reserved') }),
        stat('超支额', 'Executed above total, summed over the lines where it is; 0 is right.', yuan, { expr: amount('overspent') }, { thresholds: red }),
        stat('超支指标数', 'Lines whose execution is above their total.', 'short', { expr: `sum(${metric('budget_lines_overspent')})` }, { thresholds: red }),
        stat('用款计划', 'Planned: plans issued less plans reduced.', yuan, { expr: amount('planned') }),
        stat('计划可用', 'Planned less reserved and executed; negative where money moves without a plan.', yuan, {
          expr: `${amount('planned')} - ${amount('reserved')} - ${amount('executed')}`,
        }, { thresholds: steps('red', [0, 'green']) }),
      ],
    },
    {
      title: '执行进度',
      pieces: [
        curves('执行率与时间进度', 'The executed share of the budget against the elapsed share of the year.', 'percentunit', [
          { expr: executed, legend: '执行率' },
          { expr: elapsed, legend: '时间进度' },
        ], { min: 0 }),
        curves('快于（慢于）时间进度', 'Executed ratio less elapsed ratio: above 0 spending is ahead of the calendar.', 'percentunit', [
          { expr: `${executed} - ${elapsed}`, legend: '差' },
        ]),
        curves('指标金额', 'Sums over all budget lines.', yuan, ['total', 'executed', 'reserved', 'frozen', 'available'].map((kind) => ({
          expr: amount(kind),
          legend: { total: '总额', executed: '已执行', reserved: '预占', frozen: '冻结', available: '可用' }[kind] ?? kind,
        }))),
        curves('计划与执行', 'What may be spent by plan, and what is spent or reserved.', yuan, [
          { expr: amount('planned'), legend: '计划' },
          { expr: `${amount('executed')} + ${amount('reserved')}`, legend: '已执行与预占' },
        ]),
      ],
    },
    {
      title: '单位与超支',
      pieces: [
        bars('支出最多的单位：执行率', 'Executed share of the units that spent most (http.top_units); all others are one bar, other.', 'percentunit', {
          expr: `sort_desc(max by (unit_code) (${metric('budget_executed_ratio')}))`,
          legend: '{{unit_code}}',
        }, { height: 12, decimals: 1, thresholds: steps('blue', [0.9, 'orange'], [1, 'red']) }),
        [curves('超支', 'Executed above total over time.', yuan, [{ expr: amount('overspent'), legend: '超支额' }], { height: 6, min: 0 }),
        curves('超支指标数', 'Lines whose execution is above their total.', 'short', [
          { expr: `sum(${metric('budget_lines_overspent')})`, legend: '指标数' },
        ], { height: 6, min: 0 })],
      ],
    },
  ],
);
