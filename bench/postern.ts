import { writeFileSync } from 'node:fs'
import { demoSeed } from '../emulator/okta/demo-seed.ts'
import { createOktaEmulator } from '../emulator/okta/emulator.ts'
import { answering, node, type Program, start } from './programs.ts'
import { commonSettings } from './settings.ts'
import { signIn } from './signed-in.ts'

export interface Postern {
  readonly program: Program
  readonly port: number
  /** Request headers of a signed-in person, by what is behind the route. */
  readonly app: Readonly<Record<string, string>>
  readonly echo: Readonly<Record<string, string>>
  readonly open: Readonly<Record<string, string>>
  close(): Promise<void>
}

export interface PosternOptions {
  readonly core: number
  readonly directory: string
  readonly port: number
  readonly upstream: number
  readonly echo: number
  /** Absent: the embedded store. */
  readonly storage?: object
}

/** The built program with a configuration file, a store and the emulator; alice has signed in through the browser flow. */
export async function startPostern({
  core,
  directory,
  port,
  upstream,
  echo,
  storage,
}: PosternOptions): Promise<Postern> {
  const origin = (name: string): string => `http://${name}.localhost:${port}`
  const okta = await createOktaEmulator({
    seed: demoSeed({ redirectUris: [`${origin('authenticate')}/oauth2/callback`], postLogoutRedirectUris: [] }),
  })
  const file = `${directory}/config-${port}.yaml`
  // YAML takes JSON as it is.
  const route = (name: string, to: number, access: object): object => ({
    from: origin(name),
    to: `http://127.0.0.1:${to}`,
    ...access,
  })
  writeFileSync(
    file,
    JSON.stringify({
      ...commonSettings({ port, okta: okta.url, store: `${directory}/store` }),
      ...(storage && { storage }),
      pass_identity_headers: true,
      jwt_claims_headers: ['email', 'groups'],
      routes: [
        route('public', upstream, { allow_public_unauthenticated_access: true }),
        route('app', upstream, { allowed_groups: ['Engineering'] }),
        route('echo', echo, { allowed_groups: ['Engineering'] }),
      ],
    }),
  )
  const program = start(core, node('../cmd/postern/main.js', 'run', '--config', file))
  await answering(port, '/ping')
  const [app, echoed] = [new URL(origin('app')), new URL(origin('echo'))]
  const cookies = await signIn([app, echoed], okta.url, 'alice@example.com')
  const headers = (url: URL): Record<string, string> => ({ Host: url.host, Cookie: cookies.get(url) ?? '' })
  return {
    program,
    port,
    app: headers(app),
    echo: headers(echoed),
    open: { Host: `public.localhost:${port}` },
    async close() {
      await program.stop()
      await okta.close()
    },
  }
}
