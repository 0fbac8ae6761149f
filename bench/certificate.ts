import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** A certificate that signs itself, as files and as the authority to trust. */
export interface Certificate {
  readonly file: string
  readonly keyFile: string
  readonly pem: string
}

/** ECDSA P-256, for the hosts of a bench. */
export function createCertificate(directory: string): Certificate {
  const [file, keyFile] = [`${directory}/tls.crt`, `${directory}/tls.key`]
  const names = ['app', 'echo', 'public', 'authenticate'].map((name) => `DNS:${name}.localhost`).join(',')
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', keyFile]
  const certificate = [
    '-x509',
    '-days',
    '2',
    '-subj',
    '/CN=localhost',
    '-addext',
    `subjectAltName=${names}`,
    '-out',
    file,
  ]
  execFileSync('openssl', ['req', ...key, ...certificate], { stdio: 'ignore', timeout: 10_000 })
  return { file, keyFile, pem: readFileSync(file, 'utf8') }
}
