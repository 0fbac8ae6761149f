import { expect, onTestFinished, test } from 'vitest'
import { AppError } from '../../../src/errors.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import type { Metric } from '../../../src/server/exposition.ts'
import type { Component } from '../../../src/server/health.ts'
import { availableCores } from '../../../src/server/workers/cores.ts'
import type { ConfigInput, InForce, Order, WorkerReport } from '../../../src/server/workers/messages.ts'
import { createWorkers, type Workers } from '../../../src/server/workers/primary.ts'
import type { WorkerProcess } from '../../../src/server/workers/process.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'

const inputOf = (name: string): ConfigInput => ({ file: name, files: new Map() })
const startedWith = ({ fixed, live }: InForce): string =>
  fixed === live ? ` ${live.file}` : ` ${live.file}, fixed keys of ${fixed.file}`
const counting = (value: number): Metric => ({
  name: 'postern_things_total',
  help: 'Things.',
  type: 'counter',
  combine: 'sum',
  labels: [],
  samples: [{ suffix: '', labels: '', value }],
})

/** A worker that keeps what it was asked. */
class Fake implements WorkerProcess {
  readonly pid = 0
  readonly asked: string[] = []
  /** What it answers with a fault, or not at all. */
  refuses: Partial<Record<Order['kind'], AppError | 'silence' | 'death'>> = {}
  /** A configuration takes it so long. */
  building: Promise<void> | undefined
  report: WorkerReport = { components: [], metrics: [] }
  readonly ended: Promise<string>
  end: (how: string) => void = () => {}
  isKilled = false
  private over: string | undefined

  constructor() {
    this.ended = new Promise((resolve) => {
      this.end = (how) => {
        this.over = how
        resolve(how)
      }
    })
  }

  kill(): void {
    this.isKilled = true
    this.end('SIGKILL')
  }

  async ask(order: Order): Promise<never> {
    const name = 'input' in order ? ` ${order.input.file}` : order.kind === 'start' ? startedWith(order.inForce) : ''
    this.asked.push(`${order.kind}${name}`)
    if (this.over !== undefined) throw new AppError('ERR_INTERNAL', this.over)
    if (order.kind === 'prepare') await this.building
    const refusal = this.refuses[order.kind]
    if (refusal === 'silence') {
      const how = await this.ended
      throw new AppError('ERR_INTERNAL', `worker process 2 ended: ${how}`)
    }
    if (refusal === 'death') {
      this.end('SIGSEGV')
      throw new AppError('ERR_INTERNAL', 'worker process 2 ended: SIGSEGV')
    }
    if (refusal) throw refusal
    // The answer comes first.
    if (order.kind === 'drain') setImmediate(() => this.end('exit code 0'))
    if (order.kind === 'drain') return this.report.metrics as never
    return (order.kind === 'report' ? this.report : { address: '127.0.0.1:1' }) as never
  }
}

interface World {
  readonly workers: Workers
  readonly clock: ManualClock
  /** In the order in which they were started. */
  readonly all: readonly Fake[]
  /** Of the next that are started. */
  startFault: AppError | 'silence' | undefined
}

async function start(count = 2): Promise<World> {
  const clock = manualClock()
  const all: Fake[] = []
  const spawn = (): WorkerProcess => {
    const fake = new Fake()
    if (world.startFault) fake.refuses.start = world.startFault
    all.push(fake)
    return fake
  }
  const workers = createWorkers({ count, spawn, clock, logger: silentLogger })
  const world: World = { workers, clock, all, startFault: undefined }
  await workers.start(inputOf('first'))
  onTestFinished(() => workers.drain(1000))
  return world
}

/** Lets what was begun come to rest. */
const rest = (clock: ManualClock): Promise<void> => clock.advanceAsync(0)

function at(world: World, place: number): Fake {
  const fake = world.all[place]
  if (!fake) throw new Error(`only ${world.all.length} were started`)
  return fake
}

test('a configuration is built by all before it is put into force in any', async () => {
  const world = await start()
  await world.workers.reload(inputOf('second'))
  for (const { asked } of world.all) expect(asked).toEqual(['start first', 'prepare second', 'commit'])
})

test('a configuration that one cannot have is in force in none, and later workers begin with the one before', async () => {
  const world = await start()
  at(world, 1).refuses.prepare = new AppError('ERR_CONFIG_INVALID', 'certificate: no')
  await expect(world.workers.reload(inputOf('bad'))).rejects.toThrow('certificate: no')
  for (const { asked } of world.all) expect(asked).toEqual(['start first', 'prepare bad', 'abandon'])
  at(world, 0).end('SIGKILL')
  await world.clock.advanceAsync(500)
  expect(at(world, 2).asked).toEqual(['start first'])
})

test('a worker that dies of a configuration keeps it from all others', async () => {
  const world = await start()
  const [first, second] = [at(world, 0), at(world, 1)]
  second.refuses.prepare = 'death'
  await expect(world.workers.reload(inputOf('deadly'))).rejects.toThrow('ended: SIGSEGV')
  expect(first.asked).toEqual(['start first', 'prepare deadly', 'abandon'])
})

test('one that cannot put into force what it has built is replaced by one that begins with it', async () => {
  const world = await start()
  at(world, 1).refuses.commit = new AppError('ERR_INTERNAL', 'no')
  await world.workers.reload(inputOf('second'))
  expect(at(world, 1).isKilled).toBe(true)
  await world.clock.advanceAsync(500)
  expect(at(world, 2).asked).toEqual(['start second, fixed keys of first'])
})

test('a reload waits for none that is being started: that one begins anew, with the new configuration', async () => {
  const world = await start()
  world.startFault = 'silence'
  at(world, 0).end('SIGKILL')
  await world.clock.advanceAsync(500)
  expect(at(world, 2).asked).toEqual(['start first'])
  world.startFault = undefined
  await world.workers.reload(inputOf('second'))
  expect(at(world, 1).asked).toEqual(['start first', 'prepare second', 'commit'])
  expect(at(world, 2).isKilled).toBe(true)
  await rest(world.clock)
  expect(at(world, 3).asked).toEqual(['start second, fixed keys of first'])
  expect((await world.workers.components())[0]).toMatchObject({ detail: '2 of 2' })
})

test('nor does a reload that is refused disturb it', async () => {
  const world = await start()
  world.startFault = 'silence'
  at(world, 0).end('SIGKILL')
  await world.clock.advanceAsync(500)
  at(world, 1).refuses.prepare = new AppError('ERR_CONFIG_INVALID', 'certificate: no')
  await expect(world.workers.reload(inputOf('bad'))).rejects.toThrow('certificate: no')
  expect(at(world, 2).isKilled).toBe(false)
  expect(world.all).toHaveLength(3)
})

test('one that has started while a configuration was built begins anew with it', async () => {
  const world = await start()
  let built = (): void => {}
  at(world, 1).building = new Promise((resolve) => (built = resolve))
  at(world, 0).end('SIGKILL')
  const reloaded = world.workers.reload(inputOf('second'))
  await world.clock.advanceAsync(500)
  expect(at(world, 2).asked).toEqual(['start first'])
  built()
  await reloaded
  expect(at(world, 2).isKilled).toBe(true)
  await world.clock.advanceAsync(1000)
  expect(at(world, 3).asked).toEqual(['start second, fixed keys of first'])
})

test('one that is started later has the fixed keys of the others, whatever was reloaded since', async () => {
  const world = await start()
  await world.workers.reload(inputOf('second'))
  await world.workers.reload(inputOf('third'))
  at(world, 0).end('SIGKILL')
  await world.clock.advanceAsync(500)
  expect(at(world, 2).asked).toEqual(['start third, fixed keys of first'])
})

test('one that ends soon after its start is replaced later each time, one that served at once', async () => {
  const world = await start()
  const starts = (): number => world.all.length
  await world.clock.advanceAsync(10_000)
  at(world, 0).end('SIGKILL')
  await rest(world.clock)
  await rest(world.clock)
  expect(starts()).toBe(3)
  for (const [pause, place] of [
    [500, 2],
    [1000, 3],
    [2000, 4],
  ] as const) {
    at(world, place).end('exit code 1')
    await world.clock.advanceAsync(pause - 1)
    expect(starts()).toBe(place + 1)
    await world.clock.advanceAsync(1)
    await rest(world.clock)
    expect(starts()).toBe(place + 2)
  }
  expect(world.workers.areServing()).toBe(true)
})

test('a fault at the first start ends all, and says why', async () => {
  const clock = manualClock()
  const all: Fake[] = []
  const workers = createWorkers({
    count: 3,
    clock,
    logger: silentLogger,
    spawn() {
      const fake = new Fake()
      if (all.length === 1) fake.refuses.start = new AppError('ERR_LISTEN', 'address: cannot listen')
      all.push(fake)
      return fake
    },
  })
  await expect(workers.start(inputOf('first'))).rejects.toMatchObject({ code: 'ERR_LISTEN' })
  expect(all.map(({ isKilled }) => isKilled)).toEqual([true, true, true])
  await clock.advanceAsync(60_000)
  expect(all).toHaveLength(3)
})

test('when none serves and none can be started again and again, that is the end', async () => {
  const world = await start()
  let fault: AppError | undefined
  void (async () => (fault = await world.workers.failed))()
  world.startFault = new AppError('ERR_STORE_UNAVAILABLE', 'store: gone')
  at(world, 0).end('SIGKILL')
  await world.clock.advanceAsync(120_000)
  expect(world.all.length).toBeGreaterThan(6)
  // The other one serves.
  expect(fault).toBeUndefined()
  at(world, 1).end('SIGKILL')
  await world.clock.advanceAsync(120_000)
  expect(fault).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
})

test('counts of one that has ended stay, also when it does so while it is asked', async () => {
  const world = await start()
  for (const fake of world.all) fake.report = { components: [], metrics: [counting(10)] }
  const things = async (): Promise<number | undefined> =>
    (await world.workers.metrics()).find(({ name }) => name === 'postern_things_total')?.samples[0]?.value
  expect(await things()).toBe(20)
  at(world, 0).end('SIGKILL')
  expect(await things()).toBe(20)
  await world.clock.advanceAsync(500)
  at(world, 2).report = { components: [], metrics: [counting(1)] }
  expect(await things()).toBe(21)
})

test('of each component the worst counts, and one that does not answer is named', async () => {
  const world = await start()
  const store = (status: Component['status']): Component => ({ name: 'store', status })
  at(world, 0).report = { components: [store('ok')], metrics: [] }
  at(world, 1).report = { components: [store('degraded')], metrics: [] }
  expect(await world.workers.components()).toEqual([
    { name: 'workers', status: 'ok', detail: '2 of 2' },
    { name: 'store', status: 'degraded' },
  ])
  at(world, 1).refuses.report = new AppError('ERR_INTERNAL', 'does not answer')
  expect(await world.workers.components()).toEqual([
    { name: 'workers', status: 'degraded', detail: 'worker 2: does not answer' },
    { name: 'store', status: 'ok' },
  ])
})

test('all of them hear why a configuration was not taken over, and one that does not answer lives on', async () => {
  const world = await start()
  at(world, 1).refuses.refused = new AppError('ERR_INTERNAL', 'no answer')
  world.workers.refuse('config.yaml:1:1 unknown key')
  await rest(world.clock)
  for (const { asked, isKilled } of world.all) expect([asked, isKilled]).toEqual([['start first', 'refused'], false])
})

test('what each has counted until it drained is part of the sum', async () => {
  const world = await start()
  for (const place of [0, 1]) at(world, place).report = { components: [], metrics: [counting(place + 1)] }
  await world.workers.drain(1000)
  const counted = (await world.workers.metrics()).find(({ name }) => name === 'postern_things_total')
  expect(counted?.samples[0]?.value).toBe(3)
})

test('one that does not drain in time is killed', async () => {
  const world = await start()
  at(world, 1).refuses.drain = 'silence'
  const drained = world.workers.drain(30_000)
  await world.clock.advanceAsync(29_999)
  expect(at(world, 1).isKilled).toBe(false)
  await world.clock.advanceAsync(1)
  await drained
  expect(world.all.map(({ isKilled }) => isKilled)).toEqual([false, true])
})

test('keys of session tickets are the same in all, and others after twelve hours', async () => {
  const world = await start()
  await world.clock.advanceAsync(12 * 3_600_000)
  for (const { asked } of world.all) expect(asked).toEqual(['start first', 'ticket-keys'])
})

test.each([
  ['no control group', {}, 8],
  ['two cores of a period', { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '200000 100000\n' }, 2],
  ['a core and a half', { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '150000 100000\n' }, 1],
  ['half a core', { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '50000 100000\n' }, 1],
  ['no limit', { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': 'max 100000\n' }, 8],
  ['more than there are', { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '6400000 100000\n' }, 8],
  [
    'a limit of a group above',
    {
      '/proc/self/cgroup': '0::/kubepods/pod1/c1\n',
      '/sys/fs/cgroup/kubepods/pod1/c1/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/kubepods/pod1/cpu.max': '300000 100000\n',
    },
    3,
  ],
  [
    'version 1',
    {
      '/proc/self/cgroup': '5:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '400000\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    },
    4,
  ],
  [
    'version 1 without a limit',
    {
      '/proc/self/cgroup': '4:cpu,cpuacct:/\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    },
    8,
  ],
] as const)('cores of eight with %s', (_, files: Readonly<Record<string, string>>, expected) => {
  expect(availableCores(8, (path) => files[path])).toBe(expected)
})
