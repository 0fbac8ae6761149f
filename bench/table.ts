import { type Budget, met } from './budgets.ts'
import { type Cell, least, median } from './rounds.ts'

export function printCells(cells: readonly Cell[]): void {
  console.log(`\n\n${row('CPU µs per request', 'median', 'min', 'max', 'requests/s', 'RSS MiB')}`)
  let work = ''
  for (const cell of cells) {
    if (cell.work !== work) console.log((work = cell.work))
    const { rounds, requestsPerSecond, rssMiB } = cell
    const figures = [median(rounds), least(rounds), Math.max(...rounds)].map((cpu) => cpu.toFixed(1))
    console.log(row(`  ${cell.target}`, ...figures, requestsPerSecond.toFixed(0), rssMiB.toFixed(0)))
  }
}

export function printBudgets(budgets: readonly Budget[]): void {
  console.log(`\n${row('budget', 'median', 'of minima', 'limit', '')}`)
  for (const budget of budgets) {
    const { what, unit, limit } = budget
    const [middle, low] = [budget.median, budget.least].map((value) => `${value.toFixed(2)} ${unit}`)
    console.log(row(what, middle ?? '', low ?? '', `≤ ${limit} ${unit}`, met(budget) ? 'met' : 'MISSED'))
  }
}

function row(name: string, ...cells: readonly string[]): string {
  return (name.padEnd(74) + cells.map((cell) => cell.padStart(12)).join('')).trimEnd()
}
