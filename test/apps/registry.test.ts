/** A container registry behind Postern: crane and buildah with a service token, by the challenge that they follow. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../e2e/browser/demo.ts'
import { type Behind, startBehind } from './behind.ts'
import { onPath } from './installed.ts'
import { type Ran, type Running, run, startServer } from './process.ts'

const crane = onPath(['crane'], 'go install github.com/google/go-containerregistry/cmd/crane@v0.20.3')
const buildah = onPath(['buildah'], 'apt-get install buildah')

describe.skipIf(crane.bin === undefined)(crane.name('a container registry behind Postern'), () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-registry-'))
  let server: Running
  let behind: Behind
  let token: string
  let host: string
  beforeAll(async () => {
    const port = await freePort()
    server = await startServer(['crane', 'registry', 'serve', '--address', `127.0.0.1:${port}`], port)
    behind = await startBehind(`http://127.0.0.1:${port}`)
    token = await behind.token()
    host = new URL(behind.programsUrl).host
    writeFileSync(join(folder, 'layer.txt'), 'a layer\n')
    expect(await run(['tar', '-cf', 'layer.tar', 'layer.txt'], { cwd: folder })).toMatchObject({ code: 0 })
  })
  afterAll(async () => {
    await behind?.close()
    await server?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const asked = (args: readonly [string, ...string[]], config: string): Promise<Ran> =>
    run(args, {
      cwd: folder,
      env: { DOCKER_CONFIG: join(folder, config), REGISTRY_AUTH_FILE: join(folder, `${config}.json`) },
    })

  test('crane logs in, pushes and pulls', async () => {
    const login = ['crane', 'auth', 'login', host, '-u', 'ci', '-p', token] as const
    expect(await asked([...login], 'crane')).toMatchObject({ code: 0 })
    expect(await asked(['crane', 'append', '-f', 'layer.tar', '-t', `${host}/corp/tool:1`], 'crane')).toMatchObject({
      code: 0,
    })
    const listed = await asked(['crane', 'ls', `${host}/corp/tool`], 'crane')
    expect(listed).toMatchObject({ code: 0, output: expect.stringMatching(/^1$/m) })
    expect(await asked(['crane', 'pull', `${host}/corp/tool:1`, 'tool.tar'], 'crane')).toMatchObject({ code: 0 })
    expect(server.output()).not.toContain(token)
  })

  test('crane without a token, or with another, gets nothing', async () => {
    for (const password of [undefined, `${token.slice(0, -1)}-`, 'hunter2']) {
      const config = `refused-${password?.length ?? 0}`
      if (password !== undefined) await asked(['crane', 'auth', 'login', host, '-u', 'ci', '-p', password], config)
      const { code, output } = await asked(['crane', 'ls', `${host}/corp/tool`], config)
      expect({ code, refused: /401|UNAUTHORIZED|unauthori[sz]ed/i.test(output) }).toEqual({ code: 1, refused: true })
    }
  })

  test.skipIf(buildah.bin === undefined)('buildah logs in, and is refused with another token', async () => {
    const login = (password: string) =>
      asked(['buildah', 'login', '--tls-verify=false', '-u', 'ci', '-p', password, host], 'buildah')
    expect(await login(token)).toMatchObject({ code: 0, output: expect.stringContaining('Login Succeeded') })
    expect((await login('hunter2')).code).not.toBe(0)
  })
})
