/** Certificate authorities as people run them: by openssl, in a folder of their own. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Issued {
  /** PEM. */
  readonly cert: string
  readonly key: string
}

export interface LeafOptions {
  /** As openssl writes them: `DNS:laptop.test`, `URI:spiffe://corp/ci`. */
  readonly names?: readonly string[]
  /** `clientAuth` unless given; `''`: none. */
  readonly usage?: string
  /** Days from now; negative: over. */
  readonly days?: number
}

export interface Authority {
  /** PEM. */
  readonly cert: string
  issue(commonName: string, options?: LeafOptions): Issued
  /** An authority below this one. */
  intermediate(commonName: string): Authority
  /** Revokes them, and gives the PEM list of all that were revoked. `days` as above. */
  revoke(certificates: readonly Issued[], days?: number): string
}

const CONFIG = `
[ca]
default_ca = own
[own]
database = index.txt
crlnumber = crlnumber
default_md = sha256
default_days = 30
`

/** A folder of authorities, and how to remove it. */
export function createAuthorities(): { root(commonName: string): Authority; remove(): void } {
  const base = mkdtempSync(join(tmpdir(), 'postern-ca-'))
  let count = 0

  function authority(commonName: string, parent?: { readonly folder: string }): Authority {
    const folder = mkdtempSync(join(base, 'ca-'))
    const openssl = (...args: readonly (string | readonly string[])[]): void => {
      execFileSync('openssl', args.flat(), { cwd: folder, timeout: 30_000, stdio: 'pipe' })
    }
    const read = (name: string): string => readFileSync(join(folder, name), 'utf8')
    const sign = (name: string, by: string, extensions: string, days: number): void => {
      writeFileSync(join(folder, `${name}.ext`), extensions)
      const from = new Date(Date.now() + Math.min(days - 1, 0) * 86_400_000)
      const until = new Date(Date.now() + days * 86_400_000)
      const stamp = (date: Date): string => `${date.toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`
      writeFileSync(join(folder, `${name}.txt`), '')
      const config = `${CONFIG}rand_serial = yes\nnew_certs_dir = .\nunique_subject = no\npolicy = any\n[any]\ncommonName = supplied\n`
      writeFileSync(join(folder, 'sign.cnf'), config.replace('index.txt', `${name}.txt`))
      openssl(
        ['ca', '-batch', '-notext', '-config', 'sign.cnf', '-in', `${name}.csr`, '-out', `${name}.crt`],
        [
          '-cert',
          by === 'self' ? `${name}.crt` : join(by, 'ca.crt'),
          '-keyfile',
          by === 'self' ? 'ca.key' : join(by, 'ca.key'),
        ],
        [
          '-extfile',
          `${name}.ext`,
          '-startdate',
          stamp(from),
          '-enddate',
          stamp(until),
          ...(by === 'self' ? ['-selfsign'] : []),
        ],
      )
    }
    const request = (name: string, subject: string): void => {
      openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${name}.key`)
      openssl('req', '-new', '-key', `${name}.key`, '-subj', `/CN=${subject}`, '-out', `${name}.csr`)
    }

    writeFileSync(join(folder, 'ca.cnf'), CONFIG)
    writeFileSync(join(folder, 'index.txt'), '')
    writeFileSync(join(folder, 'crlnumber'), '01\n')
    request('ca', commonName)
    const usage =
      'basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n'
    sign('ca', parent?.folder ?? 'self', usage, 365)

    return {
      cert: read('ca.crt'),
      issue(subject, { names = [], usage: extended = 'clientAuth', days = 30 } = {}) {
        const name = `leaf-${count++}`
        request(name, subject)
        const lines = [
          'basicConstraints=CA:false',
          ...(extended === '' ? [] : [`extendedKeyUsage=${extended}`]),
          ...(names.length === 0 ? [] : ['subjectAltName=@names', '[names]']),
          ...names.map((text, i) => text.replace(':', `.${i}=`)),
        ]
        sign(name, folder, lines.join('\n'), days)
        return { cert: read(`${name}.crt`), key: read(`${name}.key`) }
      },
      intermediate: (subject) => authority(subject, { folder }),
      revoke(certificates, days = 30) {
        for (const { cert } of certificates) {
          writeFileSync(join(folder, 'revoked.crt'), cert)
          openssl('ca', '-config', 'ca.cnf', '-cert', 'ca.crt', '-keyfile', 'ca.key', '-revoke', 'revoked.crt')
        }
        const stamp = (at: number): string => `${new Date(at).toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`
        const [last, next] = [Date.now() + Math.min(0, days - 1) * 86_400_000, Date.now() + days * 86_400_000]
        openssl(
          ['ca', '-config', 'ca.cnf', '-cert', 'ca.crt', '-keyfile', 'ca.key', '-gencrl', '-out', 'crl.pem'],
          ['-crl_lastupdate', stamp(last), '-crl_nextupdate', stamp(next)],
        )
        return read('crl.pem')
      },
    }
  }

  return { root: (commonName) => authority(commonName), remove: () => rmSync(base, { recursive: true, force: true }) }
}
