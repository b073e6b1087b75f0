"""The console: the service for people, as pages under /console. docs/console.md says how a page is added."""
