import { type Cell, circumstances, median } from './figures.ts'
import { BIG, BODIES } from './nginx.ts'
import { pace } from './pace.ts'
import { ask, type Program } from './programs.ts'
import { printCells } from './table.ts'
import { wrk } from './wrk.ts'

/** A program under load and the request that it gets. */
export interface Target {
  readonly name: string
  readonly program: Program
  readonly port: number
  readonly headers: Readonly<Record<string, string>>
  /** Absent: 200. */
  readonly status?: number
  /** Closes a connection now and then that a request is on its way to. */
  readonly closes?: boolean
  /** Speaks TLS. */
  readonly tls?: boolean
  /** Cookies of many people, one after the other. */
  readonly cookies?: readonly string[]
  /** Paths of many routes, one after the other, in the place of the work's. */
  readonly paths?: readonly string[]
  /** How much there is of what grows in a series of cells. */
  readonly at?: number
}

/** One request, sent in the same way to several targets. */
export interface Work {
  readonly name: string
  readonly path: string
  readonly connections: number
  readonly headers?: Readonly<Record<string, string>>
  /** Bytes of a POST body; absent: GET. */
  readonly upload?: number
  /** Requests a second; absent: as many as are answered. */
  readonly perSecond?: number
  /** What grows from cell to cell. */
  readonly series?: string
  readonly targets: readonly Target[]
}

export interface Effort {
  readonly directory: string
  readonly rounds: number
  readonly seconds: number
}

/** Compiled code, open connections, filled caches: requests that a target has answered before it is measured. */
const WARM_UP = 20_000
/** The same for bodies of 1 MiB. */
const WARM_UP_BODIES = 1000
/** A machine so slow is not worth the wait; milliseconds. */
const LONGEST_WARM_UP = 20_000

const answered = new Map<string, number>()

/** Rounds of all targets in turn, so that a slow minute of the machine hits all alike. */
export async function compare({ directory, rounds, ...effort }: Effort, work: Work): Promise<readonly Cell[]> {
  await check(work)
  // Opening the connections is part of what is measured, and should be a small one.
  const seconds = effort.seconds * (work.connections >= 1000 ? 4 : 1)
  const bodies = work.upload !== undefined || (BODIES.get(work.path)?.length ?? 0) >= BIG

  async function run(target: Target): Promise<number> {
    const requests = await wrk(directory, {
      name: target.name,
      url: `${target.tls ? 'https' : 'http'}://127.0.0.1:${target.port}${work.path}`,
      headers: { ...work.headers, ...target.headers },
      connections: work.connections,
      seconds,
      status: target.status ?? 200,
      ...(work.upload !== undefined && { upload: work.upload }),
      ...(target.closes && { closes: true }),
      ...(target.cookies && { cookies: target.cookies }),
      ...(target.paths && { paths: target.paths }),
    })
    const kind = kindOf(target)
    answered.set(kind, (answered.get(kind) ?? 0) + requests)
    return requests
  }
  const kindOf = ({ program, status, paths }: Target): string =>
    [program.pid, status ?? 200, bodies && work.path, paths?.length].join(' ')

  for (const target of work.targets) {
    const enough = bodies ? WARM_UP_BODIES : WARM_UP
    const begin = performance.now()
    while ((answered.get(kindOf(target)) ?? 0) < enough && performance.now() - begin < LONGEST_WARM_UP)
      await run(target)
  }
  const measured = work.targets.map((target) => ({
    target,
    cpu: [] as number[],
    rate: [] as number[],
    p99: [] as number[],
  }))
  for (let round = 0; round < rounds; round++) {
    for (const { target, cpu, rate, p99 } of measured) {
      const before = target.program.cpu()
      const began = performance.now()
      let requests: number
      if (work.perSecond === undefined) requests = await run(target)
      else {
        const { path, connections, perSecond } = work
        const headers = { ...work.headers, ...target.headers }
        const paced = await pace({ port: target.port, path, headers, connections, perSecond, seconds: seconds * 2 })
        requests = paced.requests
        p99.push(paced.p99)
      }
      cpu.push(((target.program.cpu() - before) / requests) * 1e6)
      rate.push((requests / (performance.now() - began)) * 1000)
    }
  }
  const now = circumstances()
  const cells = measured.map(
    ({ target, cpu, rate, p99 }): Cell => ({
      work: work.name,
      target: target.name,
      connections: work.connections,
      rounds: cpu,
      requestsPerSecond: median(rate),
      ...(work.perSecond !== undefined && { p99 }),
      rssMiB: target.program.rss(),
      ...(work.series !== undefined && { series: work.series }),
      ...(target.at !== undefined && { at: target.at }),
      circumstances: now,
    }),
  )
  printCells(cells)
  return cells
}

/** One request to each target; throws when an answer is not what the upstream, or the proxy itself, must give. */
async function check({ name: work, path, headers, upload, targets }: Work): Promise<void> {
  for (const target of targets) {
    const { name, port, status = 200, tls } = target
    const answer = await ask(port, path, { ...headers, ...target.headers }, tls)
    const whole = BODIES.get(path)
    if (answer.status !== status || (status === 200 && upload === undefined && whole && answer.body !== whole)) {
      throw new Error(`${work}, ${name}: status ${answer.status} with ${answer.body.length} bytes, not ${status}`)
    }
  }
}
