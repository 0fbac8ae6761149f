/**
 * `npm run bench [-- --short] [--only WORDS [--keep]] [--rounds N] [--seconds N]`: what a request costs, as run time of the proxy's
 * process by the scheduler's counter, beside other proxies. The proxy under test has one core, the load and the upstream
 * share the other; rounds are interleaved, so that a slow minute of the machine hits all alike; everything is warmed up by
 * count; answers are checked first. `--only` takes what a work's name contains, `growth: …`,
 * `footprint: …` or `micro`; several with `|` between. Without `--short` and `--only` it writes the report
 * as a page with a picture, too; with `--keep` what was measured replaces the same in the last report.
 * Ratios are compared with their budgets; only wrong answers fail the run, which then goes on with the next part.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { messageOf } from '../src/errors.ts'
import { chart } from './chart.ts'
import { figureBudget, microBudget, ratios } from './budgets.ts'
import { measureFootprint } from './footprint.ts'
import { measureGrowth } from './growth.ts'
import type { MicroResult } from './micro.ts'
import { versions } from './peers/peers.ts'
import { BESIDE, find, node, stopAll, UNDER_TEST } from './programs.ts'
import { compareProxies, prepareGround, type Selection } from './proxies.ts'
import { merged, page, type Report } from './report.ts'
import { printBudgets } from './table.ts'
import { compareTls } from './tls.ts'

const REPORT = 'bench/report'

async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      short: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      keep: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
    },
  })
  const { short } = values
  const missing = ['nginx', 'wrk', 'taskset'].filter((program) => find(program) === undefined)
  if (missing.length > 0) {
    console.log(`bench skipped: ${missing.join(', ')} not found (apt-get install nginx wrk util-linux)`)
    return
  }
  if (cpus().length < 2) {
    console.log('bench skipped: it needs two cores')
    return
  }
  // This process and the emulator inside it must not disturb the core under test.
  execFileSync('taskset', ['-a', '-c', '-p', String(BESIDE), String(process.pid)], { stdio: 'ignore', timeout: 10_000 })
  const directory = mkdtempSync(join(tmpdir(), 'postern-bench-'))
  const words = values.only.split('|')
  const wanted = (name: string): boolean => words.some((word) => name.includes(word))
  const rounds = Number(values.rounds ?? (short ? 3 : 5))
  const seconds = Number(values.seconds ?? 1)
  const begin = performance.now()
  const left: string[] = []
  let failed = false
  const leave = (what: string): void => {
    left.push(what)
    console.log(`not measured: ${what}`)
  }
  const attempt: Selection['attempt'] = async (name, part) => {
    try {
      return await part()
    } catch (error) {
      failed = true
      leave(`${name}: ${messageOf(error)}`)
      return []
    }
  }
  try {
    const ground = await prepareGround(directory)
    const selection: Selection = { directory, short, wanted, rounds, seconds, leave, attempt }
    const cells = [...(await compareProxies(selection, ground))]
    if (!short) {
      cells.push(...(await attempt('TLS', () => compareTls(selection, ground))))
      cells.push(...(await measureGrowth(selection, ground)))
    }
    const figures = short ? [] : await measureFootprint(selection, ground)
    const micro = wanted('micro') ? (JSON.parse(runPinned(node('micro.js'))) as readonly MicroResult[]) : []
    const machine: Report['machine'] = {
      cpu: cpus()[0]?.model ?? 'unknown',
      cores: cpus().length,
      node: process.version,
      versions: versions(),
    }
    const fresh = { rounds, seconds, machine, left, cells, figures, micro }
    const whole = values.keep
      ? merged(JSON.parse(readFileSync(`${REPORT}.json`, 'utf8')) as Report, wanted, fresh)
      : fresh
    const budgets = [...ratios(whole.cells), ...whole.figures.flatMap(figureBudget), ...whole.micro.map(microBudget)]
    const report: Report = { ...whole, budgets }
    printBudgets(budgets)
    writeFileSync(`${REPORT}.json`, `${JSON.stringify(report, null, 2)}\n`)
    // The page is of everything or not at all.
    if (values.keep || (!short && values.only === '')) {
      writeFileSync(`${REPORT}.md`, page(report))
      writeFileSync(`${REPORT}.svg`, chart(report.cells))
    }
    if (failed) process.exitCode = 1
    console.log(`\n${((performance.now() - begin) / 1000).toFixed(0)} s, written to ${REPORT}.json`)
  } finally {
    stopAll()
    rmSync(directory, { recursive: true, force: true })
  }
}

function runPinned(command: readonly string[]): string {
  return execFileSync('taskset', ['-c', String(UNDER_TEST), ...command], { encoding: 'utf8', timeout: 600_000 })
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    stopAll()
    process.exit(1)
  })
}

const args = process.argv.slice(2)
const run = args.includes('--directory')
  ? import('./directory/main.ts').then((bench) => bench.benchDirectory(args))
  : args.includes('--scim')
    ? import('./scim/main.ts').then((bench) => bench.benchScim(args))
    : main(args)
const code = await run.then(
  () => process.exitCode ?? 0,
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error)
    return 1
  },
)
process.exit(code)
