import { t } from "../text";
import { Empty } from "../ui/parts";

export function NotFound() {
  const said = t().notFound;
  return (
    <Empty title={said.title} whole>
      <p class="faint">{said.text}</p>
      <a class="button" href="/">
        {said.home}
      </a>
    </Empty>
  );
}
