/**
 * `npm run bench [-- --short]`: what a request costs, as CPU time of the proxy's process by the kernel's accounting,
 * beside three proxies without authorization. The proxy under test has one core, the load (wrk) and the upstream (nginx)
 * share the other; rounds are interleaved, so that a slow minute of the machine hits all alike; answers are checked first.
 * Ratios are compared with their budgets; only wrong answers fail the run.
 */
import { execFileSync } from 'node:child_process'
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { MicroResult } from './micro.ts'
import { BIG, SMALL, startNginxProxy, startUpstream } from './nginx.ts'
import { type Postern, type PosternOptions, startPostern } from './postern.ts'
import { answering, ask, BESIDE, freePort, node, type Program, start, stopAll, UNDER_TEST } from './programs.ts'
import { wrk } from './wrk.ts'

interface Target {
  readonly name: string
  readonly program: Program
  readonly port: number
  readonly headers: Readonly<Record<string, string>>
}

interface Work {
  readonly name: string
  readonly path: string
  readonly connections: number
  readonly upload?: number
  readonly targets: readonly Target[]
}

interface Cell {
  readonly work: string
  readonly target: string
  /** CPU time of the proxy's process per request, in microseconds: the median of the rounds, and all of them. */
  readonly cpuUs: number
  readonly rounds: readonly number[]
  readonly requestsPerSecond: number
  readonly rssMiB: number
}

interface Budget {
  readonly what: string
  readonly ratio: number
  readonly limit: number
  readonly met: boolean
}

const short = process.argv.includes('--short')
const ROUNDS = short ? 3 : 7
const SECONDS = short ? 1 : 3
const REPORT = 'bench/report.json'

async function main(): Promise<void> {
  const missing = ['nginx', 'wrk', 'taskset'].filter((program) => !installed(program))
  if (missing.length > 0) {
    console.log(`bench skipped: ${missing.join(', ')} not found (apt-get install nginx wrk util-linux)`)
    return
  }
  if (cpus().length < 2) {
    console.log('bench skipped: it needs two cores')
    return
  }
  // This process and the emulator inside it must not disturb the core under test.
  execFileSync('taskset', ['-a', '-c', '-p', String(BESIDE), String(process.pid)], { stdio: 'ignore' })
  const directory = mkdtempSync(join(tmpdir(), 'postern-bench-'))
  try {
    const cells = await compareProxies(directory)
    const micro = JSON.parse(runPinned(node('micro.js'))) as readonly MicroResult[]
    const budgets = [...proxyBudgets(cells), ...micro.map(microBudget)]
    print(cells, budgets)
    const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, platform: process.platform }
    writeFileSync(
      REPORT,
      `${JSON.stringify({ short, rounds: ROUNDS, seconds: SECONDS, machine, cells, micro, budgets }, null, 2)}\n`,
    )
    console.log(`\nwritten to ${REPORT}`)
  } finally {
    stopAll()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function compareProxies(directory: string): Promise<readonly Cell[]> {
  const [upstream, sink, echo, port] = [await freePort(), await freePort(), await freePort(), await freePort()]
  startUpstream(BESIDE, directory, upstream, sink)
  start(BESIDE, node('echo.js', String(echo)))
  await answering(upstream)
  await answering(echo)

  const bare = async (name: string, command: (at: number) => Program): Promise<Target> => {
    const at = await freePort()
    const program = command(at)
    await answering(at)
    return { name, program, port: at, headers: { Host: `app.localhost:${at}` } }
  }
  const origin = `http://127.0.0.1:${upstream}`
  const undici = await bare('bare undici', (at) => start(UNDER_TEST, node('bare-undici.js', String(at), origin)))
  const httpProxy = await bare('bare http-proxy', (at) =>
    start(UNDER_TEST, node('bare-http-proxy.js', String(at), origin)),
  )
  const nginx = await bare('nginx proxy_pass', (at) => startNginxProxy(UNDER_TEST, directory, at, upstream))
  const postern = await startPostern({ core: UNDER_TEST, directory, port, upstream, echo })
  const open: Target = { name: 'Postern, public', program: postern.program, port, headers: postern.open }
  const judged: Target = { name: 'Postern, authenticated', program: postern.program, port, headers: postern.app }
  const onRedis = await startOnRedis({ core: UNDER_TEST, directory, port: await freePort(), upstream, echo })
  const shared: readonly Target[] = onRedis
    ? [{ name: 'Postern, on Redis', program: onRedis.program, port: onRedis.port, headers: onRedis.app }]
    : []

  const works: readonly Work[] = [
    { name: 'GET 1 KiB', path: '/', connections: 32, targets: [judged, ...shared, open, undici, httpProxy, nginx] },
    { name: 'GET 1 MiB', path: '/big', connections: 8, targets: [judged, httpProxy, undici] },
    { name: 'POST 1 MiB', path: '/upload', connections: 8, upload: BIG, targets: [judged, httpProxy, undici] },
  ]
  try {
    await checkIdentity(port, postern.echo, postern.app)
    await checkAnswers([judged, ...shared, open, undici, httpProxy, nginx])
    const cells: Cell[] = []
    for (const work of works) cells.push(...(await compare(directory, work)))
    return cells
  } finally {
    await postern.close()
    await onRedis?.close()
  }
}

/** The same on a Redis beside the load; undefined where there is none. */
async function startOnRedis(options: PosternOptions): Promise<Postern | undefined> {
  if (!installed('redis-server')) return undefined
  const at = await freePort()
  start(BESIDE, ['redis-server', '--bind', '127.0.0.1', '--port', String(at), '--save', '', '--appendonly', 'no'])
  return startPostern({ ...options, storage: { type: 'redis', url: `redis://127.0.0.1:${at}` } })
}

/** The application gets our identity headers and not the client's. */
async function checkIdentity(
  port: number,
  signedIn: Readonly<Record<string, string>>,
  otherHost: Readonly<Record<string, string>>,
): Promise<void> {
  const forged = { ...signedIn, 'x-postern-claim-email': 'root@example.com', 'x-postern-jwt-assertion': 'e30.e30.' }
  const answer = await ask(port, '/', forged)
  const told = answer.status === 200 ? (JSON.parse(answer.body) as Record<string, string>) : {}
  expect('claim header', told['x-postern-claim-email'], 'alice@example.com')
  const [, claims = ''] = (told['x-postern-jwt-assertion'] ?? '').split('.')
  const { email, groups = [] } = JSON.parse(Buffer.from(claims, 'base64url').toString() || '{}') as {
    email?: string
    groups?: string[]
  }
  expect('email in the assertion', email, 'alice@example.com')
  expect('group in the assertion', groups.includes('Engineering'), true)
  expect('session cookie at the application', told['cookie'], undefined)
  expect('status without a session', (await ask(port, '/', { Host: signedIn['Host'] ?? '' })).status, 401)
  expect(
    "status with another host's cookie",
    (await ask(port, '/', { ...signedIn, Cookie: otherHost['Cookie'] ?? '' })).status,
    401,
  )
}

async function checkAnswers(targets: readonly Target[]): Promise<void> {
  for (const { name, port, headers } of targets) {
    const [small, big] = [await ask(port, '/', headers), await ask(port, '/big', headers)]
    expect(`${name}: status`, small.status, 200)
    expect(`${name}: body`, small.body, SMALL)
    expect(`${name}: big body`, big.body.length, BIG)
  }
}

function expect(what: string, actual: unknown, wanted: unknown): void {
  if (actual !== wanted) throw new Error(`${what}: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(actual)}`)
}

async function compare(directory: string, work: Work): Promise<readonly Cell[]> {
  const run = ({ port, headers }: Target): Promise<number> =>
    wrk(directory, {
      url: `http://127.0.0.1:${port}${work.path}`,
      headers,
      connections: work.connections,
      seconds: SECONDS,
      ...(work.upload === undefined ? {} : { upload: work.upload }),
    })
  // Compiled code, open connections, filled caches.
  for (const target of work.targets) await run(target)
  const rounds = work.targets.map((target) => ({ target, cpu: [] as number[], rate: [] as number[] }))
  for (let round = 0; round < ROUNDS; round++) {
    for (const { target, cpu, rate } of rounds) {
      const before = target.program.cpu()
      const requests = await run(target)
      cpu.push(((target.program.cpu() - before) / requests) * 1e6)
      rate.push(requests / SECONDS)
    }
    process.stderr.write('.')
  }
  return rounds.map(({ target, cpu, rate }) => ({
    work: work.name,
    target: target.name,
    cpuUs: median(cpu),
    rounds: cpu,
    requestsPerSecond: median(rate),
    rssMiB: target.program.rss(),
  }))
}

function proxyBudgets(cells: readonly Cell[]): readonly Budget[] {
  const judged = 'Postern, authenticated'
  const shared = 'Postern, on Redis'
  const ratio = (work: string, other: string, limit: number, target = judged): Budget => {
    const of = (name: string): readonly number[] =>
      cells.find((cell) => cell.work === work && cell.target === name)?.rounds ?? []
    // Of each round by itself: its two measurements were made in the same minute.
    const mine = of(target)
    const theirs = of(other)
    const value = median(mine.map((cpu, i) => cpu / (theirs[i] ?? Number.NaN)))
    return { what: `${work}: ${target} / ${other}`, ratio: value, limit, met: value <= limit }
  }
  return [
    ...(cells.some(({ target }) => target === shared) ? [ratio('GET 1 KiB', judged, 1.1, shared)] : []),
    ratio('GET 1 KiB', 'bare undici', 1.3),
    ratio('GET 1 KiB', 'bare http-proxy', 0.7),
    ratio('GET 1 KiB', 'nginx proxy_pass', 2.3),
    ratio('GET 1 MiB', 'bare http-proxy', 1.05),
    ratio('POST 1 MiB', 'bare http-proxy', 1.05),
  ]
}

function microBudget({ name, ns, budgetNs }: MicroResult): Budget {
  return { what: `${name} (µs)`, ratio: ns / 1000, limit: budgetNs / 1000, met: ns <= budgetNs }
}

function print(cells: readonly Cell[], budgets: readonly Budget[]): void {
  console.log(`\n\n${row('', 'CPU µs/request', 'spread', 'requests/s', 'RSS MiB')}`)
  let work = ''
  for (const cell of cells) {
    if (cell.work !== work) console.log((work = cell.work))
    const spread = `${Math.min(...cell.rounds).toFixed(1)}–${Math.max(...cell.rounds).toFixed(1)}`
    console.log(
      row(`  ${cell.target}`, cell.cpuUs.toFixed(1), spread, cell.requestsPerSecond.toFixed(0), cell.rssMiB.toFixed(0)),
    )
  }
  console.log(`\n${row('budget', 'measured', 'limit', '', '')}`)
  for (const { what, ratio, limit, met } of budgets) {
    console.log(row(what, ratio.toFixed(2), `≤ ${limit.toFixed(2)}`, met ? 'met' : 'MISSED', ''))
  }
}

function row(name: string, ...cells: readonly string[]): string {
  return (name.padEnd(44) + cells.map((cell) => cell.padStart(15)).join('')).trimEnd()
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

function runPinned(command: readonly string[]): string {
  return execFileSync('taskset', ['-c', String(UNDER_TEST), ...command], { encoding: 'utf8' })
}

function installed(program: string): boolean {
  return `${process.env['PATH'] ?? ''}${delimiter}/usr/sbin`.split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK)
      return true
    } catch {
      // Not here; perhaps in the next directory.
      return false
    }
  })
}

process.on('SIGINT', () => {
  stopAll()
  process.exit(130)
})

const args = process.argv.slice(2)
const run = args.includes('--directory')
  ? import('./directory/main.ts').then((bench) => bench.benchDirectory(args))
  : args.includes('--scim')
    ? import('./scim/main.ts').then((bench) => bench.benchScim(args))
    : main()
const code = await run.then(
  () => 0,
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error)
    return 1
  },
)
process.exit(code)
