import type { Cell } from './figures.ts'
import { demoSeed } from '../emulator/okta/demo-seed.ts'
import { createOktaEmulator } from '../emulator/okta/emulator.ts'
import { BROWSING, DOWN, GET, HALF, NGINX, PACED, SIGNED_IN, UP } from './budgets.ts'
import { BIG, startNginxProxy, startUpstream } from './nginx.ts'
import { placePeers, startPeer } from './peers/peers.ts'
import { startPostern } from './postern.ts'
import { answering, ask, BESIDE, find, freePort, node, type Program, start, UNDER_TEST } from './programs.ts'
import { BROWSER, CALL, NAVIGATION } from './requests.ts'
import { compare, type Effort, type Target, type Work } from './rounds.ts'

const ONE = 'GET 1 KiB, 1 connection'
const THOUSAND = 'GET 1 KiB, 1000 connections'
const WORKS = [GET, BROWSING, ONE, THOUSAND, DOWN, UP]

export interface Selection extends Effort {
  readonly short: boolean
  /** Whether a work of this name is wanted. */
  readonly wanted: (name: string) => boolean
  /** Is told what cannot be measured here, and why. */
  readonly leave: (what: string) => void
  /** Does one part; when it fails, the run has failed but goes on with the next, and the part gives nothing. */
  readonly attempt: <T>(name: string, part: () => Promise<readonly T[]>) => Promise<readonly T[]>
}

/** What all of a bench stand in front of, on the core of the load. */
export interface Ground {
  readonly directory: string
  readonly upstream: number
  readonly echo: number
}

export async function prepareGround(directory: string): Promise<Ground> {
  const [upstream, sink, echo] = [await freePort(), await freePort(), await freePort()]
  startUpstream(BESIDE, directory, upstream, sink)
  start(BESIDE, node('echo.js', String(echo)))
  await answering(upstream)
  await answering(echo)
  return { directory, upstream, echo }
}

/**
 * CPU per request of Postern beside other proxies, each on one core by itself; the load and the upstream (nginx) share
 * the other. Answers are checked first.
 */
export async function compareProxies(selection: Selection, ground: Ground): Promise<readonly Cell[]> {
  const { directory, short, wanted, attempt } = selection
  if (![...WORKS, ...(short ? [] : [PACED, HALF])].some(wanted)) return []
  const { upstream } = ground
  const bare = async (name: string, command: (at: number) => Program): Promise<Target> => {
    const at = await freePort()
    const program = command(at)
    await answering(at)
    return { name, program, port: at, headers: { Host: `app.localhost:${at}` } }
  }
  const origin = `http://127.0.0.1:${upstream}`
  const undici = await bare('bare undici', (at) => start(UNDER_TEST, node('bare-undici.js', String(at), origin)))
  const nginx = await bare(NGINX, (at) => startNginxProxy(UNDER_TEST, directory, at, upstream))
  const postern = await startPostern({ core: UNDER_TEST, ...ground })
  const { program, port } = postern
  const signedIn: Target = { name: SIGNED_IN, program, port, headers: postern.app }
  const host = { Host: postern.app['Host'] ?? '' }
  const anonymous: readonly Target[] = [
    { name: 'Postern, anonymous 302', program, port, headers: { ...host, ...NAVIGATION }, status: 302 },
    { name: 'Postern, anonymous 401', program, port, headers: { ...host, ...CALL }, status: 401 },
  ]
  const peers = short || ![GET, BROWSING, PACED].some(wanted) ? [] : await startPeers(selection, ground)
  const others =
    short || !wanted(GET)
      ? []
      : [
          { name: 'Postern, public', program, port, headers: postern.open },
          ...(await onRedis(ground)),
          await bare('bare http-proxy', (at) => start(UNDER_TEST, node('bare-http-proxy.js', String(at), origin))),
        ]

  const get = { path: '/', connections: 64 } as const
  const works: readonly Work[] = [
    { ...get, name: GET, targets: [signedIn, undici, nginx, ...anonymous, ...others, ...peers] },
    { ...get, name: BROWSING, headers: BROWSER, targets: [signedIn, undici, nginx, ...peers] },
    { ...get, name: ONE, connections: 1, targets: [signedIn, nginx] },
    { ...get, name: THOUSAND, connections: 1000, targets: [signedIn, nginx] },
    { name: DOWN, path: '/big', connections: 8, targets: [signedIn, nginx] },
    { name: UP, path: '/upload', connections: 8, upload: BIG, targets: [signedIn, nginx] },
    ...(short ? [] : [{ ...get, name: PACED, perSecond: 1000, targets: [signedIn, nginx, ...peers] }]),
  ]
  await checkIdentity(port, postern.echo, postern.app)
  const cells: Cell[] = []
  for (const work of works.filter(({ name }) => wanted(name))) {
    cells.push(...(await attempt(work.name, () => compare(selection, work))))
  }
  const most = cells.find(({ work, target }) => work === GET && target === SIGNED_IN)?.requestsPerSecond
  if (!short && most !== undefined && wanted(HALF)) {
    const perSecond = Math.round(most / 2)
    const work = { ...get, name: HALF, perSecond, targets: [signedIn, nginx] }
    cells.push(...(await attempt(HALF, () => compare(selection, work))))
  }
  return cells
}

/** The same on a Redis beside the load; none where there is none. */
async function onRedis(ground: Ground): Promise<readonly Target[]> {
  if (find('redis-server') === undefined) return []
  const at = await freePort()
  start(BESIDE, ['redis-server', '--bind', '127.0.0.1', '--port', String(at), '--save', '', '--appendonly', 'no'])
  const storage = { type: 'redis', url: `redis://127.0.0.1:${at}` }
  const { program, port, app } = await startPostern({ core: UNDER_TEST, ...ground, storage })
  return [{ name: 'Postern, on Redis', program, port, headers: app }]
}

/** All that are installed, each with alice signed in. */
async function startPeers({ leave, attempt }: Selection, { directory, upstream }: Ground): Promise<readonly Target[]> {
  const placed = await placePeers(leave)
  const redirectUris = placed.flatMap(({ redirectUri }) => redirectUri ?? [])
  const okta = await createOktaEmulator({
    rateLimits: 'off',
    seed: demoSeed({ redirectUris, postLogoutRedirectUris: [] }),
  })
  const targets: Target[] = []
  for (const one of placed) {
    const place = { directory, upstream, okta: okta.url }
    targets.push(...(await attempt(one.peer.name, async () => [await startPeer(one, place)])))
  }
  return targets
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

function expect(what: string, actual: unknown, wanted: unknown): void {
  if (actual !== wanted) throw new Error(`${what}: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(actual)}`)
}
