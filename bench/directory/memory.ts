import { readFileSync } from 'node:fs'
import { call, each, sleep } from './http.ts'
import { orgOf } from './org.ts'
import { atMost, fact, type Row, type Scenario } from './report.ts'
import { ANYBODY, createWorld, type World } from './world.ts'

/** Then the first comparison has run, and V8 has had a quiet while. */
const QUIET = 15_000
const MOST_RESIDENT = 250

/** Resident memory and what it consists of, once everybody with a session has asked once: a short part of `large`. */
export async function memory(short: boolean): Promise<readonly Scenario[]> {
  const [size, live] = short ? (['1k', 700] as const) : (['100k', 20_000] as const)
  const world = await createWorld(orgOf(size, live))
  try {
    await world.seed()
    await world.startPostern()
    const started = resident(world)
    await each(world.org.people, 32, async (person) => {
      const status = await world.status(person, ANYBODY)
      if (status !== 200) throw new Error(`${person.login} is signed in: expected 200, got ${status}`)
    })
    const asked = resident(world)
    await sleep(QUIET)
    return [
      { name: `memory, org of ${size}, ${live} live sessions: ready`, rows: started },
      { name: 'everybody has asked once', rows: asked },
      { name: `${QUIET / 1000} s later`, rows: [...resident(world), ...(await heap(world))] },
    ]
  } finally {
    await world.close()
  }
}

/** By the kernel (proc_pid_smaps(5)): mappings of files are the program and the store. */
function resident(world: World): readonly Row[] {
  const { pid } = world.postern()
  const parts = new Map([
    ['store', 0],
    ['program', 0],
    ['anonymous', 0],
  ])
  let file = ''
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const [first = '', kib] = line.split(/\s+/)
    if (/^[0-9a-f]+-[0-9a-f]+$/.test(first)) file = line.split(/\s+/)[5] ?? ''
    if (first !== 'Rss:' && first !== 'Anonymous:') continue
    const part = file.endsWith('.mdb') ? 'store' : 'program'
    const own = first === 'Rss:' ? Number(kib) : -Number(kib)
    parts.set(part, (parts.get(part) ?? 0) + own)
    if (own < 0) parts.set('anonymous', (parts.get('anonymous') ?? 0) - own)
  }
  return [
    atMost('resident memory', world.postern().rss(), MOST_RESIDENT, 'MiB'),
    ...[...parts].map(([part, size]) => fact(part, `${(size / 1024).toFixed(1)} MiB`)),
  ]
}

/** As the program's own metrics show it. */
async function heap({ metricsPort }: World): Promise<readonly Row[]> {
  const { body } = await call({ port: metricsPort, path: '/metrics' })
  const figure = (name: string): string => {
    const bytes = Number(new RegExp(`^postern_nodejs_${name}_bytes (\\S+)$`, 'm').exec(body)?.[1])
    return `${(bytes / 1024 ** 2).toFixed(1)} MiB`
  }
  return [
    fact('heap, used', figure('heap_size_used')),
    fact('heap, reserved', figure('heap_size_total')),
    fact('external', figure('external_memory')),
  ]
}
