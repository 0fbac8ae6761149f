/** The challenge of a 401 (RFC 9110 §15.5.2), as programs see it: ours asks for no password, an application's own passes. */
import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestWorld, listenOn, portOf, type World } from '../support/world.ts'

const BASIC = 'Basic realm="application", charset="UTF-8"'

let world: World
beforeAll(async () => {
  world = await createTestWorld({
    routes: [
      { name: 'repository', from: 'http://git.localhost', allow_any_authenticated_user: true },
      { name: 'open', from: 'http://open.localhost', allow_public_unauthenticated_access: true },
    ],
    upstream: (_, res) => void res.writeHead(401, ['WWW-Authenticate', BASIC, 'WWW-Authenticate', 'Negotiate']).end(),
  })
})
afterAll(() => world.close())

test('an application’s own challenges pass, and none of ours is beside them', async () => {
  const answer = await world.browser().ask('http://open.localhost/', { headers: { accept: 'application/json' } })
  expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, `${BASIC}, Negotiate`])
})

test('git that holds a password gets the challenge, and does not send the password', async () => {
  // git resolves no `*.localhost`: the recorder asks Postern in its place.
  const ask = async (path: string) => {
    const { status, headers } = await world.browser().ask(`http://git.localhost${path}`, { headers: { accept: '*/*' } })
    return { status, challenge: headers['www-authenticate'] }
  }
  const seen: (string | undefined)[] = []
  const recorder = await listenOn(
    createServer((req, res) => {
      seen.push(req.headers.authorization)
      void ask(req.url ?? '/').then(({ status, challenge }) =>
        res.writeHead(status, challenge === undefined ? {} : { 'www-authenticate': challenge }).end(),
      )
    }),
  )
  const said = await git(['ls-remote', `http://alice:secret@127.0.0.1:${portOf(recorder)}/repository.git`])
  recorder.closeAllConnections()
  recorder.close()
  expect(said).toMatch(/401|Authentication failed/)
  expect(new Set(seen)).toEqual(new Set([undefined]))
})

function git(args: readonly string[]): Promise<string> {
  const env = { PATH: process.env['PATH'], GIT_TERMINAL_PROMPT: '0', GIT_CONFIG_GLOBAL: '/dev/null', LC_ALL: 'C' }
  return new Promise((resolve) => {
    execFile('git', ['-c', 'credential.helper=', ...args], { env }, (_error, _stdout, stderr) => resolve(stderr))
  })
}
