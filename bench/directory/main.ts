/**
 * `npm run bench -- --directory [--short] [scenario…]`: how soon a change in Okta counts and what following it costs, on
 * the built program as its own process beside the emulator as another. The program has one core for itself.
 * A missed bound is printed and does not fail the run; a wrong decision does.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { BESIDE, stopAll } from '../programs.ts'
import { fullSync } from './full-sync.ts'
import { kill } from './kill.ts'
import { large } from './large.ts'
import { latency } from './latency.ts'
import { memory } from './memory.ts'
import { print, type Scenario } from './report.ts'

const REPORT = 'bench/directory-report.json'
const SCENARIOS: Readonly<Record<string, (short: boolean) => Promise<readonly Scenario[]>>> = {
  latency,
  large,
  memory,
  kill,
  sync: fullSync,
}

export async function benchDirectory(args: readonly string[]): Promise<void> {
  if (cpus().length < 2) {
    console.log('bench skipped: it needs two cores')
    return
  }
  execFileSync('taskset', ['-a', '-c', '-p', String(BESIDE), String(process.pid)], { stdio: 'ignore' })
  const short = args.includes('--short')
  const wanted = args.filter((arg) => !arg.startsWith('--'))
  const unknown = wanted.find((name) => !(name in SCENARIOS))
  if (unknown !== undefined) {
    throw new TypeError(`no scenario "${unknown}": there are ${Object.keys(SCENARIOS).join(', ')}`)
  }
  const begin = performance.now()
  const scenarios: Scenario[] = []
  try {
    for (const [name, run] of Object.entries(SCENARIOS)) {
      if (wanted.length > 0 && !wanted.includes(name)) continue
      const done = await run(short)
      for (const scenario of done) print(scenario)
      scenarios.push(...done)
    }
  } finally {
    stopAll()
  }
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, platform: process.platform }
  const seconds = Math.round((performance.now() - begin) / 1000)
  writeFileSync(REPORT, `${JSON.stringify({ short, seconds, machine, scenarios }, null, 2)}\n`)
  console.log(`\n${seconds} s, written to ${REPORT}`)
}
