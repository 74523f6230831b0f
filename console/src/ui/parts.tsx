// The small parts that every screen is made of.
import type { ComponentChildren } from "preact";
import { Problem } from "../api/client";
import { count, money } from "../format/money";
import { stamp } from "../format/time";
import { settings } from "../settings";
import { t, word } from "../text";

/** A severity: a dot in its colour, and its word, because colour is never alone. */
export function Severity({ of }: { of: string }) {
  return (
    <span class={`severity severity-${of}`}>
      <i class="dot" aria-hidden="true" />
      {word(t().severity, of)}
    </span>
  );
}

/** Where an alert stands. */
export function State({ of }: { of: string }) {
  return <span class={`state state-${of}`}>{word(t().state, of)}</span>;
}

/** Money in the unit that is set. */
export function Money({ of, sign = false }: { of: bigint | string | null | undefined; sign?: boolean }) {
  const text = money(of, settings.money.value);
  return <span class={`money${sign && text.startsWith("-") ? " is-negative" : ""}`}>{text}</span>;
}

/** The word for the unit that money is shown in. */
export const moneyUnit = () => (settings.money.value === "wan" ? t().top.wan : t().top.yuan);

/** A time as the clock there said, whole in the title. */
export function Time({ at, text }: { at: string | null | undefined; text?: string }) {
  if (!at) return <span class="faint">{t().empty}</span>;
  return (
    <time dateTime={at} title={at}>
      {text ?? stamp(at)}
    </time>
  );
}

/** A number of things. */
export const Count = ({ of }: { of: number | null | undefined }) => (
  <span class="figure">{of === null || of === undefined ? t().empty : count(of)}</span>
);

/** A part of a screen with its heading. */
export function Panel({
  title,
  lead,
  aside,
  children,
  class: extra = "",
}: {
  title: string;
  lead?: ComponentChildren;
  aside?: ComponentChildren;
  children: ComponentChildren;
  class?: string;
}) {
  return (
    <section class={`panel ${extra}`} aria-label={title}>
      <header class="panel-head">
        <h2>{title}</h2>
        {lead && <span class="lead">{lead}</span>}
        {aside && <span class="aside">{aside}</span>}
      </header>
      {children}
    </section>
  );
}

/** The heading of a screen. */
export function Heading({
  title,
  lead,
  children,
}: {
  title: ComponentChildren;
  lead?: ComponentChildren;
  children?: ComponentChildren;
}) {
  return (
    <header class="heading">
      <h1>{title}</h1>
      {lead && <span class="lead">{lead}</span>}
      {children && <div class="tools">{children}</div>}
    </header>
  );
}

/** Names and values. */
export function Facts({ of }: { of: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value ?? <span class="faint">{t().empty}</span>}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Nothing is there, and what that means. */
export function Empty({
  title,
  whole = false,
  children,
}: {
  title: string;
  /** Whether it is all that the screen shows. */
  whole?: boolean;
  children?: ComponentChildren;
}) {
  return (
    <div class="empty">
      {whole ? <h1>{title}</h1> : <p>{title}</p>}
      {children}
    </div>
  );
}

/** What was asked for is not there, or not for whoever asks: the daemon's own words are for those who know its commands. */
export function Missing({ title, id }: { title: string; id: string }) {
  return (
    <Empty title={title} whole>
      <p class="faint">{t().notFound.which(id)}</p>
      <a class="button" href="/">
        {t().notFound.home}
      </a>
    </Empty>
  );
}

/** Whether something is not there. */
export const isMissing = (error: Error | undefined): boolean => error instanceof Problem && error.status === 404;
/** Whether it is not for whoever asks. */
export const isForbidden = (error: Error | undefined): boolean => error instanceof Problem && error.status === 403;

/** Something could not be read: why, and again. */
export function Failed({ error, again }: { error: Error; again: () => void }) {
  if (isForbidden(error)) return <Empty title={t().link.forbidden} />;
  return (
    <div class="failed" role="alert">
      <p>
        <strong>{t().link.failed}</strong> {error.message}
      </p>
      <button type="button" class="button" onClick={again}>
        {t().link.tryAgain}
      </button>
    </div>
  );
}

/** What a screen shows while it reads for the first time. */
export function Loading({ rows = 6 }: { rows?: number }) {
  return (
    <div class="loading" role="status">
      <span class="sr">{t().link.loading}</span>
      {Array.from({ length: rows }, (_, i) => (
        <i key={i} aria-hidden="true" />
      ))}
    </div>
  );
}

/** A key of the keyboard. */
export const Key = ({ of }: { of: string }) => <kbd>{of}</kbd>;

/** Says something to those who listen instead of looking. */
export function Said({ text }: { text: string }) {
  return (
    <div class="sr" role="status" aria-live="polite">
      {text}
    </div>
  );
}
