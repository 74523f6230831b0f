import { columnName } from "../../format/values";
import { t } from "../../text";
import { Empty, Facts, Time } from "../../ui/parts";
import { Table } from "./rows";

interface Certificate {
  backup: string;
  backup_made_at: string;
  events: number;
  findings: number;
  begun_at: string;
  seconds: number;
  passed: boolean;
  checks: Record<string, unknown>[];
}

/** The last drill of a backup, whoever ran it: the console or a timer on the machine. */
export function Drill({ last }: { last: unknown }) {
  const said = t().works;
  const certificate = (last as { certificate?: Certificate } | null)?.certificate;
  if (!certificate) return <Empty title={said.noDrill} />;
  return (
    <>
      <Facts
        of={[
          [said.column.outcome, <strong>{certificate.passed ? said.drillPassed : said.drillFailed}</strong>],
          [columnName("occurred_at"), <Time at={certificate.begun_at} />],
          [said.backup, <span class="wrap">{certificate.backup}</span>],
          [said.backupMade, <Time at={certificate.backup_made_at} />],
          [said.column.events, String(certificate.events)],
          [said.column.findings, String(certificate.findings)],
        ]}
      />
      <Table name={said.checks} columns={["name", "outcome", "detail"]} rows={certificate.checks} />
    </>
  );
}
