// What the daemon answers, from its own description (`npm run types`).
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Alert = Schemas["Alert"];
export type AlertDetail = Schemas["AlertDetail"];
export type AlertPage = Schemas["AlertPage"];
export type Change = Schemas["Change"];
export type Finding = Schemas["Finding"];
export type BudgetLine = Schemas["BudgetLine"];
export type LinePage = Schemas["LinePage"];
export type Status = Schemas["DaemonStatus"];
export type Rule = Schemas["Rule"];
export type RuleList = Schemas["RuleList"];
export type Silence = Schemas["Silence"];
export type SilencePage = Schemas["SilencePage"];
export type Preview = Schemas["Preview"];
export type Notification = Schemas["Notification"];
export type Indicator = Schemas["Indicator"];
export type State = Schemas["State"];
export type NoticePage = Schemas["NoticePage"];
export type IndicatorPage = Schemas["IndicatorPage"];
export type AlertCounts = Schemas["AlertCounts"];
export type TransitionsResult = Schemas["TransitionsResult"];
export type BudgetTotals = Schemas["BudgetTotals"];
export type BudgetGroup = Schemas["BudgetGroup"];
export type BudgetSums = Schemas["BudgetSums"];
export type BudgetLineHistory = Schemas["BudgetLineHistory"];
export type BudgetLineEntry = Schemas["BudgetLineEntry"];
export type ChangeList = Schemas["ChangeList"];
export type EventPage = Schemas["EventPage"];
export type EventDetail = Schemas["EventDetail"];
export type Explanation = Schemas["Explanation"];
export type RuleDetail = Schemas["RuleDetail"];
export type QuarantinePage = Schemas["QuarantinePage"];
export type OwnSession = Schemas["OwnSession"];
