import { renderToString } from 'preact-render-to-string'

export interface AccessModel {
  readonly title: string
  /** `2026-11-25 10:00 UTC`. */
  readonly at: string
  readonly routes: readonly { readonly name: string; readonly policy: string }[]
  /** People who may open the same, most people first. */
  readonly rows: readonly AccessRow[]
}

export interface AccessRow {
  readonly people: readonly string[]
  /** One for each route. */
  readonly cells: readonly Cell[]
}

export type Cell = 'yes' | 'no' | 'conditions' | 'unknown'

const SIGNS: Readonly<Record<Cell, readonly [sign: string, words: string]>> = {
  yes: ['●', 'may open it'],
  no: ['', 'may not open it'],
  conditions: ['◐', 'with conditions: the request decides'],
  unknown: ['?', 'unknown: the groups are not known'],
}

const CSS = `:root { color-scheme: light dark; font: 14px/1.5 system-ui, sans-serif; }
body { margin: 2rem; }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; }
.scroll { overflow: auto; max-height: 85vh; border: 1px solid #8886; }
table { border-collapse: collapse; }
caption { text-align: left; padding: .5rem; }
th, td { border: 1px solid #8884; padding: .3rem .5rem; text-align: center; vertical-align: top; }
thead th { position: sticky; top: 0; background: Canvas; writing-mode: vertical-rl; text-align: left; max-height: 16rem; }
thead th:first-child { writing-mode: horizontal-tb; left: 0; z-index: 2; }
tbody th { position: sticky; left: 0; background: Canvas; text-align: left; font-weight: normal; min-width: 18rem; }
.yes { background: #2e9e5b44; } .conditions { background: #d99a0044; } .unknown { background: #8883; }
.key { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; list-style: none; padding: 0; }
@media print { .scroll { max-height: none; overflow: visible; border: 0; } thead th, tbody th { position: static; } }`

/** Who can open what, as one page that needs nothing else. */
export function accessPage({ title, at, routes, rows }: AccessModel): string {
  const people = rows.reduce((sum, row) => sum + row.people.length, 0)
  return `<!doctype html>${renderToString(
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{title}</title>
        <style dangerouslySetInnerHTML={{ __html: CSS }} />
      </head>
      <body>
        <main>
          <h1>{title}</h1>
          <p>
            {at}, {people} people, {routes.length} routes. People who may open the same share a row.
          </p>
          <ul class="key">
            {(['yes', 'conditions', 'unknown'] as const).map((cell) => (
              <li key={cell}>
                {SIGNS[cell][0]} {SIGNS[cell][1]}
              </li>
            ))}
          </ul>
          {/* A region that scrolls can be reached by the keyboard. */}
          <div class="scroll" role="region" aria-label="Access by person and route" tabIndex={0}>
            <table>
              <thead>
                <tr>
                  <th scope="col">People</th>
                  {routes.map(({ name, policy }, i) => (
                    <th key={i} scope="col" title={policy}>
                      {name}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {rows.map((row, i) => (
                  <tr key={i}>
                    <th scope="row">
                      <People names={row.people} />
                    </th>
                    {row.cells.map((cell, j) => (
                      <td key={j} class={cell} title={SIGNS[cell][1]}>
                        {SIGNS[cell][0]}
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </main>
      </body>
    </html>,
  )}`
}

const SHOWN = 3

function People({ names }: { readonly names: readonly string[] }) {
  if (names.length <= SHOWN) return <>{names.join(', ')}</>
  return (
    <details>
      <summary>
        {names.slice(0, SHOWN).join(', ')} and {names.length - SHOWN} more
      </summary>
      {names.slice(SHOWN).join(', ')}
    </details>
  )
}
