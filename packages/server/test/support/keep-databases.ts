// Keeps the databases and statements of tests from the garbage collector, as the server does (database.ts).
import Database from 'better-sqlite3';

const kept: unknown[] = [];
const { prepare, exec } = Database.prototype;

Database.prototype.prepare = function (this: Database.Database, source: string) {
  const statement = prepare.call(this, source);
  kept.push(this, statement);
  return statement;
} as typeof prepare;

Database.prototype.exec = function (this: Database.Database, source: string) {
  kept.push(this);
  return exec.call(this, source);
};

// The library's method creates a statement that tests cannot keep.
Database.prototype.pragma = function (
  this: Database.Database,
  source: string,
  { simple = false }: Database.PragmaOptions = {},
) {
  const statement = this.prepare(`PRAGMA ${source}`);
  if (!statement.reader) return statement.run();
  return simple ? statement.pluck().get() : statement.all();
};
