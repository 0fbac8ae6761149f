import { NGINX, SIGNED_IN } from './budgets.ts'
import { BIG, SMALL, startNginxProxy, startUpstream } from './nginx.ts'
import { type Postern, type PosternOptions, startPostern } from './postern.ts'
import { answering, ask, BESIDE, find, freePort, node, type Program, start, UNDER_TEST } from './programs.ts'
import { BROWSER, CALL, NAVIGATION } from './requests.ts'
import { type Cell, check, compare, type Effort, type Target, type Work } from './rounds.ts'

export interface Selection extends Effort {
  readonly short: boolean
  /** Whether a work of this name is wanted. */
  readonly wanted: (name: string) => boolean
}

/**
 * CPU per request of Postern beside proxies without authorization, each on one core by itself; the load (wrk) and the
 * upstream (nginx) share the other. Answers are checked first.
 */
export async function compareProxies(selection: Selection): Promise<readonly Cell[]> {
  const { directory, short, wanted } = selection
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
  const nginx = await bare(NGINX, (at) => startNginxProxy(UNDER_TEST, directory, at, upstream))
  const postern = await startPostern({ core: UNDER_TEST, directory, port, upstream, echo })
  const { program } = postern
  const signedIn: Target = { name: SIGNED_IN, program, port, headers: postern.app }
  const open: Target = { name: 'Postern, public', program, port, headers: postern.open }
  const host = { Host: postern.app['Host'] ?? '' }
  const anonymous: readonly Target[] = [
    { name: 'Postern, anonymous 302', program, port, headers: { ...host, ...NAVIGATION }, status: 302 },
    { name: 'Postern, anonymous 401', program, port, headers: { ...host, ...CALL }, status: 401 },
  ]
  const onRedis = short
    ? undefined
    : await startOnRedis({ core: UNDER_TEST, directory, port: await freePort(), upstream, echo })
  const shared: readonly Target[] = onRedis
    ? [{ name: 'Postern, on Redis', program: onRedis.program, port: onRedis.port, headers: onRedis.app }]
    : []
  const others = short ? [] : [open, ...shared, httpProxy]

  const works: readonly Work[] = [
    {
      name: 'GET 1 KiB, 64 connections',
      path: '/',
      connections: 64,
      targets: [signedIn, undici, nginx, ...anonymous, ...others],
    },
    {
      name: "GET 1 KiB, a browser's headers, 64 connections",
      path: '/',
      connections: 64,
      headers: BROWSER,
      targets: [signedIn, undici, nginx],
    },
    { name: 'GET 1 KiB, 1 connection', path: '/', connections: 1, targets: [signedIn, nginx] },
    { name: 'GET 1 KiB, 1000 connections', path: '/', connections: 1000, targets: [signedIn, nginx] },
    { name: 'GET 1 MiB, 8 connections', path: '/big', connections: 8, targets: [signedIn, nginx] },
    { name: 'POST 1 MiB, 8 connections', path: '/upload', connections: 8, upload: BIG, targets: [signedIn, nginx] },
  ]
  try {
    await checkIdentity(port, postern.echo, postern.app)
    const cells: Cell[] = []
    for (const work of works.filter(({ name }) => wanted(name))) {
      await check(work, work.path === '/big' ? BIG : SMALL)
      cells.push(...(await compare(selection, work)))
    }
    return cells
  } finally {
    await postern.close()
    await onRedis?.close()
  }
}

/** The same on a Redis beside the load; undefined where there is none. */
async function startOnRedis(options: PosternOptions): Promise<Postern | undefined> {
  if (find('redis-server') === undefined) return undefined
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

function expect(what: string, actual: unknown, wanted: unknown): void {
  if (actual !== wanted) throw new Error(`${what}: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(actual)}`)
}
