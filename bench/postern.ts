import { writeFileSync } from 'node:fs'
import { demoSeed } from '../emulator/okta/demo-seed.ts'
import { createOktaEmulator, type OktaEmulator } from '../emulator/okta/emulator.ts'
import type { Seed } from '../emulator/okta/seed.ts'
import type { Certificate } from './certificate.ts'
import { answering, freePort, node, type Program, start } from './programs.ts'
import { commonSettings } from './settings.ts'
import { signIn } from './signed-in.ts'

type Headers = Readonly<Record<string, string>>

export interface Postern {
  readonly program: Program
  readonly port: number
  readonly okta: OktaEmulator
  /** The configuration file. */
  readonly file: string
  /** Request headers of a signed-in person, by what is behind the route. */
  readonly app: Headers
  readonly echo: Headers
  readonly open: Headers
  close(): Promise<void>
}

export interface PosternOptions {
  readonly core: number
  readonly directory: string
  readonly upstream: number
  readonly echo: number
  /** Absent: the embedded store. */
  readonly storage?: object
  /** Absent: plain HTTP. */
  readonly certificate?: Certificate
  /** Routes to the upstream before those of the bench, on the host of the application unless they say another. */
  readonly routes?: readonly object[]
  /** Who may reach the application. Absent: the group Engineering. */
  readonly access?: object
  /** Groups that alice is in, beside Engineering. */
  readonly groups?: readonly string[]
  /** More keys. */
  readonly settings?: object
  /** Is told the configuration and the provider, before the program starts. */
  readonly seed?: (settings: string, issuer: string) => Promise<void>
}

/** The built program with a configuration file, a store and the emulator; alice has signed in through the browser flow. */
export async function startPostern(options: PosternOptions): Promise<Postern> {
  const { core, directory, upstream, echo, storage, certificate, groups = [] } = options
  const { access = { allowed_groups: ['Engineering'] } } = options
  const port = await freePort()
  const scheme = certificate ? 'https' : 'http'
  const origin = (name: string): string => `${scheme}://${name}.localhost:${port}`
  const okta = await createOktaEmulator({
    rateLimits: 'off',
    seed: withGroups(
      demoSeed({ redirectUris: [`${origin('authenticate')}/oauth2/callback`], postLogoutRedirectUris: [] }),
      groups,
    ),
  })
  const file = `${directory}/config-${port}.yaml`
  // YAML takes JSON as it is.
  const route = (name: string, to: number, access: object): object => ({
    from: origin(name),
    to: `http://127.0.0.1:${to}`,
    ...access,
  })
  const settings = JSON.stringify({
    ...commonSettings({ port, okta: okta.url, store: `${directory}/store-${port}` }),
    authenticate_service_url: origin('authenticate'),
    ...(storage && { storage }),
    ...(certificate && { certificate_file: certificate.file, certificate_key_file: certificate.keyFile }),
    pass_identity_headers: true,
    jwt_claims_headers: ['email', 'groups'],
    ...options.settings,
    routes: [
      ...(options.routes ?? []).map((one) => route('app', upstream, { ...access, ...one })),
      route('public', upstream, { allow_public_unauthenticated_access: true }),
      route('app', upstream, access),
      route('echo', echo, { allowed_groups: ['Engineering'] }),
    ],
  })
  writeFileSync(file, settings)
  await options.seed?.(settings, okta.url)
  const program = start(core, node('../cmd/postern/main.js', 'run', '--config', file))
  await answering(port, '/ping', certificate !== undefined)
  const [app, echoed] = [new URL(origin('app')), new URL(origin('echo'))]
  const cookies = await signIn([app, echoed], okta.url, 'alice@example.com', certificate?.pem)
  const headers = (url: URL): Headers => ({ Host: url.host, Cookie: cookies.get(url) ?? '' })
  return {
    program,
    port,
    okta,
    file,
    app: headers(app),
    echo: headers(echoed),
    open: { Host: `public.localhost:${port}` },
    async close() {
      await program.stop()
      await okta.close()
    },
  }
}

function withGroups(seed: Seed, names: readonly string[]): Seed {
  return {
    ...seed,
    groups: [...(seed.groups ?? []), ...names.map((name) => ({ name }))],
    people: [...(seed.people ?? [])].map((person) =>
      person.login === 'alice@example.com' ? { ...person, groups: [...(person.groups ?? []), ...names] } : person,
    ),
  }
}
