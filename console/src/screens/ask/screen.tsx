import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ask, send } from "../../api/client";
import { useLoad } from "../../api/load";
import type { AskAnswer, AskedParam, OfferedQuestion, Question, QuestionList } from "../../api/types";
import { settings } from "../../settings";
import { go, query } from "../../router";
import { t } from "../../text";
import { Failed, Heading, Loading, Panel } from "../../ui/parts";
import { Whole } from "../../ui/whole";
import { AnswerTable } from "./answer";
import { type Hearing, hearing } from "./voice";

type Kind = Question["takes"][number];

const phrase = (of: Question): string =>
  (settings.language.value === "zh" ? of.phrase.zh : of.phrase.en) ?? of.phrase.en ?? of.id;

/** Questions in plain words. What is asked stands in the address: a text, or a question with its parameters. */
export function Ask() {
  const said = t().ask;
  const now = query.value;
  const text = now.get("q") ?? "";
  const id = now.get("question");
  const list = useLoad("questions", (stop) => ask<QuestionList>("/questions", {}, { stop }));
  const all = list.data?.questions ?? [];
  const chosen = all.find((one) => one.id === id);
  const kinds = chosen ? [...chosen.needs, ...chosen.takes] : [];
  const params = Object.fromEntries(kinds.filter((kind) => now.get(kind)).map((kind) => [kind, now.get(kind)!]));
  const isWhole = !!chosen && chosen.needs.every((kind) => params[kind]);
  const body = id ? (isWhole ? { question: id, params } : null) : text ? { text } : null;
  const answer = useLoad(body && `ask ${JSON.stringify(body)}`, () => send<AskAnswer>("POST", "/ask", body));
  return (
    <div>
      <Heading title={said.title} lead={said.lead}>
        <Whole />
      </Heading>
      <Box key={text} text={text} all={all} />
      {list.error && <Failed error={list.error} again={list.again} />}
      {answer.error && <Failed error={answer.error} again={answer.again} />}
      {body && answer.busy && !answer.data && <Loading rows={6} />}
      {chosen && <Params key={id} of={chosen} given={params} />}
      {answer.data?.question && <Answer of={answer.data} />}
      {answer.data && !answer.data.question && <Offers of={answer.data} />}
      {!body && !chosen && list.data && <All of={all} hasModel={list.data.has_model} />}
    </div>
  );
}

/** The address of a question with its parameters. */
function addressOf(id: string, params: AskedParam[] = []): string {
  const search = new URLSearchParams({ question: id });
  params.forEach(({ kind, value }) => search.set(kind, value));
  return `/ask?${search}`;
}

/** How well a question fits what is typed: all its words, or most of its characters. */
function fits(typed: string, of: Question): number {
  const own = `${of.phrase.zh ?? ""} ${of.phrase.en ?? ""}`.toLowerCase();
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return 0;
  if (words.every((word) => own.includes(word))) return 2;
  const signs = [...new Set(typed.replace(/\s/g, "").toLowerCase())];
  const common = signs.filter((sign) => own.includes(sign)).length / signs.length;
  return /[^\x00-\x7f]/.test(typed) && common > 0.6 ? common : 0;
}

const OFFERED = 8;

function Box({ text, all }: { text: string; all: Question[] }) {
  const said = t().ask;
  const [typed, setTyped] = useState(text);
  const [at, setAt] = useState(-1);
  const [isOpen, setOpen] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const offered = useMemo(
    () =>
      all
        .map((one) => [fits(typed, one), one] as const)
        .filter(([fit]) => fit > 0)
        .sort(([a], [b]) => b - a)
        .slice(0, OFFERED)
        .map(([, one]) => one),
    [typed, all],
  );
  const shown = isOpen ? offered : [];
  const choose = (one: Question): void => go(addressOf(one.id));
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (offered.length === 0) return;
      event.preventDefault();
      setOpen(true);
      const step = event.key === "ArrowDown" ? 1 : -1;
      setAt((now) => (now + step + offered.length + (now < 0 && step < 0 ? 1 : 0)) % offered.length);
    } else if (event.key === "Escape") {
      setOpen(false);
      setAt(-1);
    }
  };
  return (
    <form
      class="ask-box"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        const one = shown[at];
        if (one) choose(one);
        else if (typed.trim()) go(`/ask?${new URLSearchParams({ q: typed.trim() })}`);
      }}
    >
      <div class="ask-field">
        <input
          ref={input}
          type="text"
          maxLength={300}
          value={typed}
          autocomplete="off"
          aria-label={said.question}
          placeholder={said.placeholder}
          role="combobox"
          aria-expanded={shown.length > 0}
          aria-controls="ask-offered"
          aria-autocomplete="list"
          aria-activedescendant={shown[at] ? `ask-${shown[at]!.id}` : undefined}
          onInput={(event) => {
            setTyped(event.currentTarget.value);
            setOpen(true);
            setAt(-1);
          }}
          onBlur={() => setOpen(false)}
          onKeyDown={onKeyDown}
        />
        <ul id="ask-offered" role="listbox" aria-label={said.offered} hidden={shown.length === 0}>
          {shown.map((one, i) => (
            <li
              key={one.id}
              id={`ask-${one.id}`}
              role="option"
              aria-selected={i === at}
              onMouseDown={(event) => {
                event.preventDefault();
                choose(one);
              }}
            >
              {phrase(one)}
            </li>
          ))}
        </ul>
      </div>
      <Voice onText={(heard) => setTyped(heard)} />
      <button type="submit" class="button is-main">
        {said.ask}
      </button>
    </form>
  );
}

/** Speaking instead of typing, where the browser can listen. */
function Voice({ onText }: { onText: (text: string) => void }) {
  const said = t().ask;
  const [ear, setEar] = useState<Hearing | null>(null);
  useEffect(() => () => ear?.stop(), [ear]);
  const language = settings.language.value === "zh" ? "zh-CN" : "en-US";
  if (!hearing.isThere()) return null;
  return (
    <button
      type="button"
      class="button"
      aria-pressed={ear !== null}
      title={said.voiceHint}
      onClick={() => setEar(ear ? null : hearing.start(language, onText, () => setEar(null)))}
    >
      {ear ? said.listening : said.voice}
    </button>
  );
}

/** The parameters of a question, to fill in or to change. */
function Params({ of, given }: { of: Question; given: Record<string, string> }) {
  const said = t().ask;
  const kinds: Kind[] = [...of.needs, ...of.takes];
  return (
    <Panel title={phrase(of)}>
      <form
        class="filters filter-details"
        onSubmit={(event) => {
          event.preventDefault();
          const form = new FormData(event.currentTarget);
          const value = (kind: Kind) => String(form.get(kind) ?? "").trim();
          const params = kinds.map((kind) => ({ kind, value: value(kind), label: null })).filter((p) => p.value !== "");
          go(addressOf(of.id, params));
        }}
      >
        {kinds.map((kind) => (
          <label key={kind}>
            <span>
              {said.kinds[kind]}
              {of.needs.includes(kind) && " *"}
            </span>
            <input
              type="text"
              name={kind}
              required={of.needs.includes(kind)}
              defaultValue={given[kind] ?? ""}
              placeholder={said.examples[kind]}
            />
          </label>
        ))}
        <button type="submit" class="button is-main">
          {said.ask}
        </button>
      </form>
    </Panel>
  );
}

function Answer({ of }: { of: AskAnswer }) {
  const said = t().ask;
  const { question } = of;
  if (!question) return null;
  return (
    <Panel
      title={phrase(question)}
      lead={of.by_model ? said.byModel : null}
      aside={<a href={addressOf(question.id, of.params)}>{said.change}</a>}
      class="ask-answer"
    >
      {of.params.length > 0 && (
        <p class="ask-params">
          {of.params.map((one) => (
            <span key={one.kind} class="chip">
              {said.kinds[one.kind]} <strong>{one.label ?? one.value}</strong>
              {one.label && <small class="faint"> {one.value}</small>}
            </span>
          ))}
        </p>
      )}
      <AnswerTable of={of} />
      <details class="ask-query">
        <summary>{said.query}</summary>
        <pre tabIndex={0} aria-label={said.query}>
          <code>{of.sql}</code>
        </pre>
      </details>
    </Panel>
  );
}

/** What may be meant: the nearest questions, with what each lacks. */
function Offers({ of }: { of: AskAnswer }) {
  const said = t().ask;
  return (
    <Panel title={said.unclear} lead={said.unclearLead}>
      {of.model_trouble && <p class="faint">{of.model_trouble}</p>}
      <ul class="ask-list" role="list">
        {of.offered.map((one) => (
          <Offer key={one.question.id} of={one} />
        ))}
      </ul>
    </Panel>
  );
}

function Offer({ of }: { of: OfferedQuestion }) {
  const said = t().ask;
  const kinds = [...new Set(of.unclear.map((one) => one.kind))];
  return (
    <li>
      <a href={addressOf(of.question.id, of.params)}>{phrase(of.question)}</a>{" "}
      {of.params.map((one) => (
        <span key={one.kind} class="chip">
          {one.label ?? one.value}
        </span>
      ))}
      {of.missing.map((kind) => (
        <small key={kind} class="faint">
          {" "}
          {said.which(said.kinds[kind])}
        </small>
      ))}
      {kinds.map((kind) => (
        <p key={kind}>
          {said.which(said.kinds[kind])}{" "}
          {of.unclear
            .filter((one) => one.kind === kind)
            .map((one) => (
              <a key={one.value} class="chip" href={addressOf(of.question.id, [...of.params, one])}>
                {one.label ?? one.value}
              </a>
            ))}
        </p>
      ))}
    </li>
  );
}

/** Everything that can be asked. */
function All({ of, hasModel }: { of: Question[]; hasModel: boolean }) {
  const said = t().ask;
  return (
    <Panel title={said.all} lead={said.allLead(of.length)}>
      {hasModel && <p class="faint">{said.hasModel}</p>}
      <ul class="ask-list is-columns" role="list">
        {of.map((one) => (
          <li key={one.id}>
            <a href={addressOf(one.id)}>{phrase(one)}</a>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
