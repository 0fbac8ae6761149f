/** What Postern takes beside requests: to start, to rest, to sign somebody in, to open and keep WebSockets. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { circumstances, type Figure } from './figures.ts'
import { type Postern, startPostern } from './postern.ts'
import { answering, ask, BESIDE, freePort, node, type Program, start, UNDER_TEST } from './programs.ts'
import type { Ground, Selection } from './proxies.ts'
import { signIn } from './signed-in.ts'
import { printFigures } from './table.ts'

const STARTS = 10
/** Until nothing of the last work is left to be done. */
const CALM = 5000
/** V8 gives back the memory of the last work by three major collections within half a minute: that is not rest. */
const SETTLED = 60_000
const REST = 30_000
/** Before they are measured: until then V8 spends 1 to 2 ms of each, on other threads, on compiling what has become hot. */
const FIRST_SIGN_INS = 800
const SIGN_INS = 40
const SIGN_IN_ROUNDS = 5
/** WebSockets opened before they are measured, so that the code is compiled, and in each round. */
const FIRST_OPENINGS = 3000
const OPENINGS = 1000
const ROUNDS = 5
const IDLE_SOCKETS = 10_000
const PARALLEL = 32

type Measured = Omit<Figure, 'circumstances'>
type Part = readonly [name: string, measure: (postern: Postern, ground: Ground) => Promise<readonly Measured[]>]

const PARTS: readonly Part[] = [
  ['sign-in', measureSignIn],
  ['WebSockets', measureSockets],
  ['idle', measureIdle],
  ['start', measureStart],
]

export async function measureFootprint({ wanted, attempt }: Selection, ground: Ground): Promise<readonly Figure[]> {
  const figures: Figure[] = []
  for (const [part, measure] of PARTS) {
    const name = `footprint: ${part}`
    if (!wanted(name)) continue
    const run = async (): Promise<readonly Figure[]> => {
      const postern = await startPostern({ core: UNDER_TEST, ...ground })
      const measured = await measure(postern, ground)
      await postern.close()
      return measured.map((figure) => ({ ...figure, circumstances: circumstances() }))
    }
    const measured = await attempt(name, run)
    printFigures(measured)
    figures.push(...measured)
  }
  return figures
}

/** From the start of the process to its first answer, with the store and the configuration of the last run. */
async function measureStart(postern: Postern): Promise<readonly Measured[]> {
  const { port, file, program } = postern
  await program.stop()
  const [wall, cpu]: [number[], number[]] = [[], []]
  for (let i = 0; i < STARTS; i++) {
    const began = performance.now()
    const again = start(UNDER_TEST, node('../cmd/postern/main.js', 'run', '--config', file))
    while (!(await ask(port, '/ping').catch(() => undefined))) await sleep(2)
    wall.push(performance.now() - began)
    cpu.push(again.cpu() * 1000)
    await again.stop()
  }
  return [
    { what: 'start to the first answer', unit: 'ms', values: wall, limit: 300 },
    { what: 'start to the first answer, CPU', unit: 'ms', values: cpu },
  ]
}

/** One after the other would be under other circumstances, and none disturbs another by sleeping. */
async function measureIdle(alone: Postern, ground: Ground): Promise<readonly Measured[]> {
  const observed = { metrics_address: `127.0.0.1:${await freePort()}` }
  const withMetrics = await startPostern({ core: UNDER_TEST, ...ground, settings: observed })
  const withWorkers = await startPostern({ core: UNDER_TEST, ...ground, settings: { workers: 2 } })
  const idle = [
    { name: 'idle', program: alone.program, single: true },
    { name: 'idle with metrics_address', program: withMetrics.program, single: true },
    { name: 'idle with 2 workers', program: withWorkers.program, single: false },
  ]
  await sleep(SETTLED)
  const begin = idle.map(({ program }) => ({ cpu: program.cpu(), wakeUps: program.wakeUps() }))
  await sleep(REST)
  const seconds = REST / 1000
  const figures = idle.flatMap(({ name, program, single }, i): readonly Measured[] => {
    const { cpu, wakeUps } = begin[i] ?? { cpu: 0, wakeUps: 0 }
    const [share, memory] = single ? [{ limit: 0.1 }, { limit: 90 }] : []
    return [
      { what: `${name}: wake-ups`, unit: '/s', values: [(program.wakeUps() - wakeUps) / seconds], limit: 10 },
      { what: `${name}: share of a core`, unit: '%', values: [((program.cpu() - cpu) / seconds) * 100], ...share },
      { what: `${name}: resident memory`, unit: 'MiB', values: [program.rss()], ...memory },
    ]
  })
  await withMetrics.close()
  await withWorkers.close()
  return figures
}

/** Whole sign-ins: the application, the provider, the callback, the application again. Of Postern's process alone. */
async function measureSignIn({ program, app, okta }: Postern): Promise<readonly Measured[]> {
  const application = new URL(`http://${app['Host']}`)
  const signInTimes = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) await signIn([application], okta.url, 'alice@example.com')
  }
  await signInTimes(FIRST_SIGN_INS)
  const values: number[] = []
  for (let round = 0; round < SIGN_IN_ROUNDS; round++) {
    const before = program.cpu()
    await signInTimes(SIGN_INS)
    values.push(((program.cpu() - before) / SIGN_INS) * 1000)
  }
  return [{ what: 'sign-in, CPU', unit: 'ms', values, limit: 4 }]
}

/** Until what was asked for before is done: less than 1 % of a core for a second. */
async function atRest(program: Program): Promise<void> {
  for (let before = program.cpu(), waited = 0; waited < 30; waited++) {
    await sleep(1000)
    const now = program.cpu()
    if (now - before < 0.01) return
    before = now
  }
}

async function measureSockets(_: Postern, ground: Ground): Promise<readonly Measured[]> {
  const at = await freePort()
  const upstream = start(BESIDE, node('sockets.js', String(at)))
  await answering(at)
  const postern = await startPostern({ core: UNDER_TEST, ...ground, echo: at })
  const { program, port, echo } = postern
  const lines = Object.entries({ ...echo, Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13' })

  function open(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => {
        const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
        socket.write(`GET / HTTP/1.1\r\n${head}Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`)
      })
      socket.once('error', reject)
      socket.once('data', (answer: Buffer) => {
        if (answer.toString('latin1', 0, 12) === 'HTTP/1.1 101') resolve(socket)
        else reject(new Error(`a WebSocket was refused: ${answer.toString('latin1', 0, 60)}`))
      })
    })
  }

  async function openMany(count: number): Promise<readonly Socket[]> {
    const sockets: Socket[] = []
    let next = 0
    const work = async (): Promise<void> => {
      while (next++ < count) sockets.push(await open())
    }
    await Promise.all(Array.from({ length: PARALLEL }, work))
    return sockets
  }

  async function closeAll(sockets: readonly Socket[]): Promise<void> {
    for (const socket of sockets) socket.destroy()
    await atRest(program)
  }

  await closeAll(await openMany(FIRST_OPENINGS))
  const opening: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const before = program.cpu()
    const sockets = await openMany(OPENINGS)
    opening.push(((program.cpu() - before) / OPENINGS) * 1e6)
    await closeAll(sockets)
  }
  // The proxy has two descriptors for each.
  const descriptors = Number(
    /Max open files +\d+ +(\d+)/.exec(readFileSync(`/proc/${program.pid}/limits`, 'utf8'))?.[1],
  )
  const count = Math.min(IDLE_SOCKETS, Math.floor((descriptors - 1000) / 2))
  await sleep(CALM)
  const before = program.rss()
  const sockets = await openMany(count)
  await sleep(CALM)
  const each = ((program.rss() - before) * 1024) / count
  for (const socket of sockets) socket.destroy()
  await postern.close()
  await upstream.stop()
  return [
    { what: 'WebSocket opening, CPU', unit: 'µs', values: opening, limit: 300 },
    { what: `resident memory of each of ${count} idle WebSockets`, unit: 'KiB', values: [each], limit: 16 },
  ]
}
