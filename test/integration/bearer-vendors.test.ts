/**
 * Jobs and workloads with the tokens that their platforms give them: GitHub Actions, GitLab and Kubernetes, each with the
 * claims of its documents, from a key set of its own. docs/programs.md shows these configurations.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createIssuerServer, type IssuerServer } from '../support/token-issuer.ts'
import { createTestWorld, type World } from '../support/world.ts'

const AUDIENCE = 'https://wiki.corp.example'
let world: World
const issuers: IssuerServer[] = []
const later = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds

/** docs.github.com/actions/reference/security/oidc. */
const github = {
  jti: '0b0ce9f1-1d8c-4b0d-9a8c-3f4b3f1f9a0e',
  sub: 'repo:corp/wiki:environment:prod',
  environment: 'prod',
  aud: AUDIENCE,
  ref: 'refs/heads/main',
  sha: 'f2a5e8d1',
  repository: 'corp/wiki',
  repository_owner: 'corp',
  actor_id: '12',
  repository_visibility: 'private',
  repository_id: '74',
  repository_owner_id: '65',
  run_id: '36',
  run_number: '10',
  run_attempt: '2',
  runner_environment: 'github-hosted',
  actor: 'octocat',
  workflow: 'deploy',
  head_ref: '',
  base_ref: '',
  event_name: 'push',
  ref_type: 'branch',
  job_workflow_ref: 'corp/ci/.github/workflows/deploy.yml@refs/heads/main',
}
/** docs.gitlab.com/ci/secrets/id_token_authentication. */
const gitlab = {
  namespace_id: '72',
  namespace_path: 'corp',
  project_id: '20',
  project_path: 'corp/wiki',
  user_id: '1',
  user_login: 'ann',
  user_email: 'ann@example.com',
  user_access_level: 'developer',
  pipeline_id: '574',
  pipeline_source: 'push',
  job_id: '302',
  ref: 'main',
  ref_type: 'branch',
  ref_path: 'refs/heads/main',
  ref_protected: 'true',
  environment: 'production',
  environment_protected: 'false',
  runner_id: 1,
  runner_environment: 'self-hosted',
  sha: '714a62',
  ci_config_ref_uri: 'gitlab.com/corp/wiki//.gitlab-ci.yml@refs/heads/main',
  jti: '235b3a54-b797-45c7-ae9a-f72d7bc6ef5b',
  aud: AUDIENCE,
  sub: 'project_path:corp/wiki:ref_type:branch:ref:main',
}
/** kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin: a bound token, of a projected volume. */
const kubernetes = {
  aud: [AUDIENCE, 'https://kubernetes.default.svc'],
  'kubernetes.io': {
    namespace: 'jobs',
    node: { name: 'node-1', uid: '9d0a' },
    pod: { name: 'indexer-7d9c', uid: '5e0c' },
    serviceaccount: { name: 'indexer', uid: 'f2b7' },
    warnafter: later(3607),
  },
  sub: 'system:serviceaccount:jobs:indexer',
}

beforeAll(async () => {
  for (const alg of ['RS256', 'RS256', 'RS256', 'ES256', 'EdDSA'] as const)
    issuers.push(await createIssuerServer({ alg }))
  const [actions, ci, cluster, ec, ed] = issuers
  world = await createTestWorld({
    config: {
      token_issuers: {
        github: { issuer: actions?.url, audience: AUDIENCE, required_claims: { repository_owner: ['corp'] } },
        gitlab: {
          issuer: ci?.url,
          audience: AUDIENCE,
          required_claims: { namespace_path: ['corp'], ref_protected: [true] },
          account_claim: 'project_path',
        },
        cluster: { issuer: cluster?.url, jwks_url: `${cluster?.url}/keys`, audience: AUDIENCE },
        ec: { issuer: ec?.url, audience: AUDIENCE },
        ed: { issuer: ed?.url, audience: AUDIENCE },
      },
    },
    routes: [
      {
        name: 'deploy',
        from: 'http://deploy.localhost',
        bearer_token_format: 'jwt',
        bearer_token_issuers: ['github'],
        policy: [
          {
            allow: {
              and: [{ issuer: actions?.url }, { 'claim/repository': 'corp/wiki' }, { 'claim/environment': 'prod' }],
            },
          },
        ],
      },
      {
        name: 'ci',
        from: 'http://ci.localhost',
        bearer_token_format: 'jwt',
        bearer_token_issuers: ['gitlab'],
        policy: [{ allow: { and: [{ 'claim/project_path': 'corp/wiki' }] } }],
      },
      {
        name: 'index',
        from: 'http://index.localhost',
        bearer_token_format: 'jwt',
        bearer_token_issuers: ['cluster'],
        policy: [{ allow: { and: [{ service_account: 'cluster/system:serviceaccount:jobs:indexer' }] } }],
      },
      { name: 'any', from: 'http://any.localhost', bearer_token_format: 'jwt', allow_any_authenticated_user: true },
    ],
  })
})
afterAll(async () => {
  await world.close()
  for (const issuer of issuers) await issuer.close()
})

async function ask(host: string, token: string) {
  const headers = { authorization: `Bearer ${token}` }
  const { status, body } = await world.browser().ask(`http://${host}.localhost/x`, { headers })
  const line = world.log().findLast(({ msg }) => msg === 'request')
  return { status, account: line?.['service_account'], detail: line?.['detail'], body }
}
const signed = (which: number, claims: object, header: object = {}) =>
  issuers[which]?.sign({ ...claims }, { ...header }) ?? Promise.reject(new Error('no such issuer'))

describe('GitHub Actions', () => {
  test('lets in the job of a repository and an environment', async () => {
    expect(await ask('deploy', await signed(0, github, { x5t: 'a' }))).toMatchObject({
      status: 200,
      account: `github/${github.sub}`,
    })
  })
  test('lets in no job of another repository, owner, audience, or of another issuer', async () => {
    expect((await ask('deploy', await signed(0, { ...github, repository: 'corp/other' }))).status).toBe(403)
    expect((await ask('deploy', await signed(0, { ...github, environment: 'test' }))).status).toBe(403)
    const evil = { ...github, repository_owner: 'evil', sub: 'repo:evil/wiki:environment:prod' }
    expect((await ask('deploy', await signed(0, evil))).status).toBe(401)
    expect((await ask('deploy', await signed(0, { ...github, aud: 'https://github.com/corp' }))).status).toBe(401)
    expect((await ask('deploy', await signed(1, github))).status).toBe(401)
  })
})

describe('GitLab', () => {
  test('lets in the job of a protected branch, by the name of its project, and not as the person who started it', async () => {
    const found = await ask('ci', await signed(1, gitlab))
    expect(found).toMatchObject({ status: 200, account: 'gitlab/corp/wiki' })
    expect(found.body).not.toContain('ann@example.com')
  })
  test('lets in no job of another branch', async () => {
    expect((await ask('ci', await signed(1, { ...gitlab, ref_protected: 'false' }))).status).toBe(401)
  })
})

describe('Kubernetes', () => {
  test('lets in a service account', async () => {
    const { typ: _, ...header } = { typ: undefined }
    expect(await ask('index', await signed(2, { ...kubernetes, exp: later(3600) }, header))).toMatchObject({
      status: 200,
      account: 'cluster/system:serviceaccount:jobs:indexer',
    })
  })
  test('lets in no other service account, and no token for the cluster itself', async () => {
    const other = { ...kubernetes, sub: 'system:serviceaccount:jobs:default' }
    expect((await ask('index', await signed(2, other))).status).toBe(403)
    expect(
      (await ask('index', await signed(2, { ...kubernetes, aud: ['https://kubernetes.default.svc'] }))).status,
    ).toBe(401)
  })
})

test('keys of every kind sign', async () => {
  for (const which of [3, 4]) {
    expect(await ask('any', await signed(which, { sub: 'robot', aud: AUDIENCE }))).toMatchObject({
      status: 200,
      account: expect.stringMatching(/^e[cd]\/robot$/),
    })
  }
})
