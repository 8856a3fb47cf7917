from intermezzo.cli import main

raise SystemExit(main())
