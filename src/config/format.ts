import { isTree } from './input.ts'

/** Texts that are not ours, told by how they look. */

const ASSIGNMENT = /^\s*[A-Za-z_][\w.-]*\s*=\s*\S/
const TABLE = /^\s*\[{1,2}[A-Za-z_][\w.-]*\]{1,2}\s*$/
const YAML_KEY = /^\s*(?:- )?["']?[A-Za-z_][\w./-]*["']?:(?:\s|$)/
const ENVIRONMENT = /^\s*(?:export\s+)?[A-Z][A-Z0-9_]*=/m
/** Keys that nobody else has. */
const OAUTH2_PROXY =
  /^\s*#?\s*(?:email_domains|http_address|cookie_secret|upstreams|skip_auth_regex|oidc_issuer_url|redirect_url|authenticated_emails_file)\s*=/m
const OAUTH2_PROXY_ALPHA = ['upstreamConfig', 'injectRequestHeaders', 'injectResponseHeaders', 'providers']

/** What a text is that is no configuration of ours, in one sentence. `value` is what a YAML parser made of it. */
export function foreignFormat(text: string, value: unknown): string | undefined {
  if (isTree(value)) return foreignMap(value)
  const lines = text.split('\n').filter((line) => /\S/.test(line))
  if (lines.some((line) => YAML_KEY.test(line))) return undefined
  if (OAUTH2_PROXY.test(text)) return `this looks like oauth2-proxy's configuration; ${MIGRATE}`
  if (isEnvironment(text)) {
    return 'this looks like an env file; give it to the environment, or write `key: value` with keys in lower case'
  }
  return lines.some((line) => ASSIGNMENT.test(line) || TABLE.test(line)) ? `this looks like TOML; ${OURS}` : undefined
}

/** Lines such as `IDP_CLIENT_ID=…`. */
export function isEnvironment(text: string): boolean {
  return ENVIRONMENT.test(text)
}

function foreignMap(value: Readonly<Record<string, unknown>>): string | undefined {
  const has = (...keys: readonly string[]): boolean => keys.some((key) => Object.hasOwn(value, key))
  if (has(...OAUTH2_PROXY_ALPHA)) return `this looks like oauth2-proxy's alpha configuration; ${MIGRATE}`
  if (has('apiVersion') && has('kind')) return `this is a manifest for Kubernetes; ${MIGRATE}`
  if (isTree(value['config']) || (isTree(value['authenticate']) && !has('routes', 'policy'))) {
    return `this looks like values of a Helm chart; ${MIGRATE}`
  }
  return undefined
}

const OURS = 'Postern reads YAML and JSON, with the keys of Pomerium'
const MIGRATE = `${OURS}: run \`postern config migrate\` on it`
