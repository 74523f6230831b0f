import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../text";
import { Key } from "./parts";

export const helpIsOpen = signal(false);

/** The keys, on `?`. */
export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = helpIsOpen.value;
  useEffect(() => {
    if (open && dialog.current && !dialog.current.open) dialog.current.showModal();
  }, [open]);
  if (!open) return null;
  const said = t().help;
  const lists: [string, [string[], string][]][] = [
    [
      said.inList,
      [
        [["j", "k"], said.move],
        [["Enter"], said.open],
        [["x"], said.pick],
        [["n"], said.unowned],
        [["."], said.show],
        [["a"], said.acknowledge],
        [["c"], said.confirm],
        [["d"], said.dismiss],
        [["r"], said.rectify],
        [["e"], said.close],
        [["m"], said.comment],
        [["s"], said.silence],
        [["Esc"], said.back],
      ],
    ],
    [
      said.anywhere,
      [
        [["/"], said.find],
        [["g", "i"], said.goInbox],
        [["g", "t"], said.goToday],
        [["g", "b"], said.goBudget],
        [["?"], said.help],
      ],
    ],
  ];
  const close = () => (helpIsOpen.value = false);
  return (
    <dialog
      ref={dialog}
      class="help"
      aria-labelledby="help-title"
      onClose={close}
      onClick={(event) => {
        if (event.target === dialog.current) dialog.current?.close();
      }}
    >
      <header>
        <h2 id="help-title">{said.title}</h2>
        <button type="button" class="plain" onClick={() => dialog.current?.close()}>
          {t().act.close}
        </button>
      </header>
      <div class="help-lists">
        {lists.map(([title, keys]) => (
          <section key={title}>
            <h3>{title}</h3>
            <dl>
              {keys.map(([names, what]) => (
                <div key={what}>
                  <dt>
                    {names.map((name) => (
                      <Key key={name} of={name} />
                    ))}
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </dialog>
  );
}
