import { type Budget, met } from './budgets.ts'
import { type Cell, type Figure, least, median } from './figures.ts'

/** The cells of one work. */
export function printCells(cells: readonly Cell[]): void {
  console.log(`\n${row(cells[0]?.work ?? '', 'median', 'min', 'max µs', 'p99 ms', 'requests/s', 'RSS MiB')}`)
  for (const { target, rounds, p99, requestsPerSecond, rssMiB } of cells) {
    const figures = [median(rounds), least(rounds), Math.max(...rounds)].map((cpu) => cpu.toFixed(1))
    const late = p99 ? median(p99).toFixed(1) : ''
    console.log(row(`  ${target}`, ...figures, late, requestsPerSecond.toFixed(0), rssMiB.toFixed(0)))
  }
}

export function printFigures(figures: readonly Figure[]): void {
  for (const { what, unit, values } of figures) {
    const shown = [median(values), least(values), Math.max(...values)].map((value) => value.toFixed(2))
    console.log(row(what, ...shown, unit))
  }
}

export function printBudgets(budgets: readonly Budget[]): void {
  console.log(`\n${row('budget', 'median', 'of minima', 'limit')}`)
  for (const budget of budgets) {
    const { what, unit, limit } = budget
    const [middle, low] = [budget.median, budget.least].map((value) => `${value.toFixed(2)} ${unit}`)
    console.log(row(what, middle ?? '', low ?? '', `≤ ${limit} ${unit}`, met(budget) ? 'met' : 'MISSED'))
  }
}

function row(name: string, ...cells: readonly string[]): string {
  return (name.padEnd(82) + cells.map((cell) => cell.padStart(11)).join('')).trimEnd()
}
