/** The report as a page: budgets, tables, and what was measured how. */
import { type Budget, met, NGINX, NGINX_TLS } from './budgets.ts'
import { type Cell, type Figure, least, median } from './figures.ts'
import type { MicroResult } from './micro.ts'

export interface Report {
  readonly rounds: number
  readonly seconds: number
  readonly machine: {
    readonly cpu: string
    readonly cores: number
    readonly node: string
    /** Of the other products, by name. */
    readonly versions: Readonly<Record<string, string>>
  }
  /** What could not be measured here, and why. */
  readonly left: readonly string[]
  readonly cells: readonly Cell[]
  readonly figures: readonly Figure[]
  readonly micro: readonly MicroResult[]
  readonly budgets: readonly Budget[]
}

/** `earlier` with what was measured anew, of `wanted` parts, in the place of what it had. */
export function merged(
  earlier: Report,
  wanted: (what: string) => boolean,
  { cells, figures, micro, ...run }: Omit<Report, 'budgets'>,
): Omit<Report, 'budgets'> {
  const works = new Set(cells.map(({ work }) => work))
  const whats = new Set(figures.map(({ what }) => what))
  return {
    ...run,
    left: [...new Set([...earlier.left.filter((what) => !wanted(what)), ...run.left])],
    cells: [...earlier.cells.filter(({ work }) => !works.has(work)), ...cells],
    figures: [...earlier.figures.filter(({ what }) => !whats.has(what)), ...figures],
    micro: micro.length > 0 ? micro : earlier.micro,
  }
}

export function page({ rounds, seconds, machine, left, cells, figures, micro, budgets }: Report): string {
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`)
  const works = [...new Set(cells.map(({ work }) => work))]
  return `# What a request costs

Written by \`npm run bench\`. \`bash scripts/bench-peers.sh\` installs the other products.

The figures are CPU time per request: the run time of all threads of the measured program and of its children, by the
scheduler's nanosecond counter (\`/proc/PID/task/*/schedstat\`), by the requests that the load counted. The measured program
has one core for itself; the load and the upstream (nginx) share the other. Each target has answered ${(20_000).toLocaleString('en')} requests
before it is measured, and each answer was checked first. ${rounds} rounds of ${seconds} s go around all targets, so that a slow minute
hits all alike; ratios are medians of the ratios within a round. The minimum stands beside the median: they disagree where
the machine was disturbed. Products that sign people in have the emulated Okta as their provider; alice came in through the
browser flow, bob and nobody are refused. nginx and haproxy ask nobody. With a fixed rate, requests are sent whether the
last ones are answered or not.

Here: ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}; ${versions.join(', ')}.

![CPU per request and its growth](report.svg)

## Budgets

${budgets.filter(met).length} of ${budgets.length} are met.

${table(['budget', 'measured', 'of the minima', 'limit', ''], budgets.map(budgetRow))}
${left.length > 0 ? `\nNot measured here: ${left.join('; ')}.\n` : ''}
${works
  .map((work) =>
    section(
      work,
      cells.filter((cell) => cell.work === work),
    ),
  )
  .join('\n')}
## Beside requests

${table(
  ['', 'median', 'minimum', 'maximum'],
  figures.map(({ what, unit, values }) => [
    what,
    ...[median(values), least(values), Math.max(...values)].map((value) => `${value.toFixed(2)} ${unit}`),
  ]),
)}

Measured ${[...new Set(figures.map((figure) => figure.circumstances))].join('; ')}.

## Single steps

${table(
  ['', 'median', 'minimum'],
  micro.map(({ name, rounds: values }) => [
    name,
    ...[median(values), least(values)].map((ns) => `${(ns / 1000).toFixed(2)} µs`),
  ]),
)}
`
}

function budgetRow(budget: Budget): readonly string[] {
  const { what, unit, limit } = budget
  const [middle = '', low = ''] = [budget.median, budget.least].map((value) => `${value.toFixed(2)} ${unit}`)
  return [what, middle, low, `≤ ${limit} ${unit}`, met(budget) ? 'met' : '**missed**']
}

function section(work: string, cells: readonly Cell[]): string {
  const nginx = cells.find(({ target }) => target === NGINX || target === NGINX_TLS)
  const late = cells.some(({ p99 }) => p99 !== undefined)
  const rows = cells.map(({ target, rounds, p99, requestsPerSecond, rssMiB }) => [
    target,
    ...[median(rounds), least(rounds), Math.max(...rounds)].map((cpu) => cpu.toFixed(1)),
    ...(nginx ? [median(rounds.map((cpu, i) => cpu / (nginx.rounds[i] ?? Number.NaN))).toFixed(2)] : []),
    ...(late ? [p99 ? median(p99).toFixed(2) : ''] : []),
    requestsPerSecond.toFixed(0),
    rssMiB.toFixed(0),
  ])
  const head = [
    'CPU µs per request',
    'median',
    'minimum',
    'maximum',
    ...(nginx ? ['÷ nginx'] : []),
    ...(late ? ['p99 ms'] : []),
    'requests/s',
    'RSS MiB',
  ]
  return `## ${work}\n\n${table(head, rows)}\n\nMeasured ${cells[0]?.circumstances}.\n`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const rule = line(head.map((_, i) => (i === 0 ? '---' : '---:')))
  return [line(head), rule, ...rows.map(line)].join('\n')
}
